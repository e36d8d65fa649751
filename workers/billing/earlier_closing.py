"""A shorter `close_grace_hours`: facts that were on time may be late for cycles that have ended and are still open.

Contact by contact, in steps. The cycles close after them.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct

from workers.rules.cycles import Cycle
from workers.store import closing, pending_work, recounts
from workers.store.connection import Connection
from workers.store.pending_work import Stepped, Work

FIND_LATE: Final = "find late facts"
_PAGE: Final = 500
_FIRST: Final = UUID(int=0)


class EarlierClosing(Struct, frozen=True):
    """A cycle, and its closing instant, which is earlier than it was."""

    start: datetime
    end: datetime
    closes_at: datetime


class _Details(Struct, frozen=True):
    cycles: Sequence[EarlierClosing]


async def leave(tx: Connection, cycles: Mapping[str, Sequence[EarlierClosing]], commands: Mapping[str, UUID]) -> None:
    """Leaves cycles of workspaces to steps. `commands` are the causes, by workspace."""
    works = [
        Work(
            workspace_id=workspace_id,
            kind=FIND_LATE,
            subject="",
            command_id=commands[workspace_id],
            details=msgspec.to_builtins(_Details(of_workspace)),
            total=await recounts.number_of_contacts(tx, workspace_id),
        )
        for workspace_id, of_workspace in sorted(cycles.items())
    ]
    await pending_work.add(tx, works)


async def run_step(tx: Connection, work: Work, _now: datetime) -> Stepped:
    """Looks for late facts about the next contacts."""
    details = msgspec.convert(work.details, _Details)
    after = UUID(work.cursor) if work.cursor is not None else _FIRST
    found = await recounts.contacts_from(tx, work.workspace_id, after, _PAGE + 1)
    page, following = found[:_PAGE], found[_PAGE:]
    for cycle in details.cycles:
        await closing.find_late(tx, work.workspace_id, page, Cycle(cycle.start, cycle.end), cycle.closes_at)
    cursor = str(following[0]) if following else None
    return Stepped((), len(page), more=bool(following), cursor=cursor)
