"""Every cycle since a workspace's first message has a row, also one in which nobody wrote: here the months turn."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from workers.runtime.batch import Connection, Fact
from workers.runtime.jobs import Job, Unfinished
from workers.store import mac, workspaces

_STEP: Final = 200  # workspaces a transaction


async def turn(tx: Connection, now: datetime) -> Sequence[Fact] | Unfinished:
    """Add the cycles that began since the last message of each workspace."""
    due = dict(await mac.without_current_cycle(tx, now, _STEP))
    if not due:
        return []
    tenants = await workspaces.share(tx, {(workspace_id, "", "") for workspace_id in due})
    await mac.add_cycles(tx, ((w, c) for w, first in due.items() for c, _ in tenants[w].calendar.between(first, now)))
    return Unfinished()


TURN_CYCLES: Final = Job("turn cycles", 10, turn)
