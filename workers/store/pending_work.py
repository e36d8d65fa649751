"""Pending work: what is too large for one transaction. A command leaves it, and steps do it, one transaction each.

The kind of the work selects the step (`workers/app/pending_work.py`). A step does a bounded part and returns where the
next one begins.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Struct

from workers.records import Output, Partition, Record
from workers.store.arrays import columns
from workers.store.connection import Connection
from workers.store.queries import load

_SQL: Final = load("pending_work")

ROWS_AT_ONCE: Final = 10_000
"""Maximum number of runs, holds or rows that a command changes in its own transaction."""

STEP: Final = 1_000
"""Maximum number of rows that one step changes."""


class Work(Struct, frozen=True, kw_only=True):
    """A row of `pending_work`, field by field (the table explains them)."""

    workspace_id: str
    kind: str
    subject: str
    command_id: UUID
    details: Mapping[str, Any] = {}
    cursor: str | None = None
    done: int = 0
    total: int
    number: int = 0  # set on insert: older work has a smaller one

    @property
    def key(self) -> tuple[str, str, str, UUID]:
        return self.workspace_id, self.kind, self.subject, self.command_id


class Stepped(NamedTuple):
    """The result of a step: its events, how many of the work's `total` it did, and where the next one begins, if there
    is one.
    """

    outputs: Sequence[Output]
    done: int
    more: bool
    cursor: str | None = None


WorkStep = Callable[[Connection, Work, datetime], Awaitable[Stepped]]
"""Takes the transaction, the work, and the transaction's time. May raise RetryBatch."""


def origin(now: datetime, recorded_at: str | None = None) -> Record[None]:
    """Stands for the source of a step's events, which no input partition caused. `recorded_at`: of the command's
    record, as text.
    """
    watermark = datetime.fromisoformat(recorded_at) if recorded_at is not None else None
    return Record(Partition("upkeep", 0), 0, now, None, None, watermark=watermark)


async def add(tx: Connection, works: Iterable[Work]) -> None:
    """Adds work. Work of the same command, kind and subject stays as it is."""
    rows = [(*w.key, msgspec.json.encode(w.details).decode(), w.cursor, w.done, w.total) for w in works]
    if rows:
        await tx.execute(_SQL["add"], *columns(rows, 8))


async def add_since(tx: Connection, work: Work, since: datetime) -> None:
    """Adds work that begins at a time, `since` in its details. What a command left already under this kind
    and subject begins again, where it was to begin later.
    """
    await tx.execute(_SQL["add_since"], *work.key, since, work.total)


async def take_back(tx: Connection, workspace_id: str, kind: str) -> list[Work]:
    """Deletes and returns the workspace's unfinished work of this kind."""
    return [work_of(row) for row in await tx.fetch(_SQL["take_back"], workspace_id, kind)]


async def earliest(tx: Connection, workspace_id: str, kind: str, name: str) -> datetime | None:
    """The earliest time in the details of the workspace's work of this kind; None: there is none."""
    at: datetime | None = await tx.fetchval(_SQL["earliest"], workspace_id, kind, name)
    return at


async def judge_as_before(tx: Connection, kind: str, changes: Mapping[tuple[str, str], Any]) -> None:
    """Lets the rest of this kind of work about each (workspace_id, subject) use what was before a change that comes
    now: the work gets `change`, and as `known_before` the present moment, unless it has them from an earlier change.
    """
    rows = [(*about, msgspec.json.encode(change).decode()) for about, change in sorted(changes.items())]
    if rows:
        await tx.execute(_SQL["judge_as_before"], kind, *columns(rows, 3))


async def subjects(tx: Connection, kind: str, about: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of these (workspace_id, subject) that have work of this kind."""
    rows = await tx.fetch(_SQL["subjects"], kind, *columns(sorted(about), 2))
    return {(workspace_id, subject) for workspace_id, subject in rows}


async def choose(tx: Connection) -> str | None:
    """The workspace with work that waited longest for a step; marks it as served now. None if there is no work."""
    workspace_id: str | None = await tx.fetchval(_SQL["choose"])
    return workspace_id


async def next_of(tx: Connection, workspace_id: str) -> Work | None:
    """The workspace's oldest work."""
    row = await tx.fetchrow(_SQL["next"], workspace_id)
    return work_of(row) if row is not None else None


def work_of(row: Mapping[str, Any]) -> Work:
    """A `Work` from its row."""
    return Work(**{**row, "details": msgspec.json.decode(row["details"])})


async def save(tx: Connection, work: Work, stepped: Stepped) -> None:
    """Saves the position after a step; without one the work is finished and deleted."""
    if stepped.more:
        await tx.execute(_SQL["save_step"], *work.key, stepped.cursor, stepped.done)
    else:
        await tx.execute(_SQL["finished"], *work.key)
