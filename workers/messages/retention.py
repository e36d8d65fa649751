"""The job that erases content that a workspace does not keep any longer: one bounded step in each transaction, the
workspaces in turn.

What was counted stays proven, and an id that comes again is still a repeat, because no row goes.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from workers.records import Event
from workers.services.job_runner import Job, Unfinished
from workers.store import retention
from workers.store.connection import Connection

_AT_ONCE: Final = 1_000


async def erase(tx: Connection, now: datetime) -> Sequence[Event] | Unfinished:
    """The next step of the workspace that waited longest."""
    workspace_id = await retention.take_up(tx, now)
    if workspace_id is None:
        return ()
    await retention.step(tx, workspace_id, now, _AT_ONCE)
    return Unfinished()


JOBS: Final = (Job("erase old content", 60, erase),)
