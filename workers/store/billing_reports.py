"""Queries of who bills: what a cycle comes to, who counts in it, and when they came. From the public views alone."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from workers.store.connection import Connection
from workers.store.page_reports import Before
from workers.store.queries import load

_SQL = load("billing_reports")
_FIRST, _LAST = UUID(int=0), UUID(int=2**128 - 1)

Row = Mapping[str, Any]


async def cycle(tx: Connection, workspace_id: str, cycle_start: datetime) -> Row:
    """The count of a cycle that there is."""
    row: Row = await tx.fetchrow(_SQL["cycle"], workspace_id, cycle_start)
    return row


async def contacts(
    tx: Connection, workspace_id: str, cycle_start: datetime, after: UUID | None, at_once: int
) -> AsyncIterator[Sequence[Row]]:
    """The contacts of a cycle behind one, by contact_id, page by page."""
    start = after
    while start is None or start < _LAST:
        first = _FIRST if start is None else UUID(int=start.int + 1)
        page = await tx.fetch(_SQL["contacts_from"], workspace_id, cycle_start, first, at_once)
        if not page:
            return
        yield page
        start = page[-1]["contact_id"]


async def counted(
    tx: Connection, workspace_id: str, cycle_start: datetime, before: Before, limit: int
) -> Sequence[Row]:
    """The contacts of a cycle, those that were counted last on top; at most 1,000."""
    rows: Sequence[Row] = await tx.fetch(_SQL["counted"], workspace_id, cycle_start, *before, limit)
    return rows


async def adjustments_after(
    tx: Connection, workspace_id: str, cycle_start: datetime, after: int, limit: int
) -> Sequence[Row]:
    """The adjustments of a cycle behind one, by adjustment_id."""
    rows: Sequence[Row] = await tx.fetch(_SQL["adjustments_after"], workspace_id, cycle_start, after, limit)
    return rows


async def adjustments(
    tx: Connection, workspace_id: str, cycle_start: datetime, at_once: int
) -> AsyncIterator[Sequence[Row]]:
    """The adjustments of a cycle, by adjustment_id, page by page."""
    after = 0
    while page := await adjustments_after(tx, workspace_id, cycle_start, after, at_once):
        yield page
        after = page[-1]["adjustment_id"]


async def adjustment_batches(tx: Connection, workspace_id: str, cycle_start: datetime) -> list[Row]:
    """`first_id`, `at` and `amount` of what became known at once, oldest first."""
    return list(await tx.fetch(_SQL["adjustment_batches"], workspace_id, cycle_start))


async def last_cycles(tx: Connection, workspace_id: str, until: datetime | None, most: int) -> list[Row]:
    """The newest cycles that begin until a time, or until now, newest first."""
    return list(await tx.fetch(_SQL["last_cycles"], workspace_id, until, most))


async def zones(tx: Connection, workspace_id: str, cycle_starts: Sequence[datetime]) -> dict[datetime, str]:
    """The time zone of each cycle."""
    return dict(await tx.fetch(_SQL["zones"], workspace_id, cycle_starts))


async def days(tx: Connection, workspace_id: str, cycle_starts: Sequence[datetime]) -> dict[datetime, dict[date, int]]:
    """For each cycle the contacts whose proof lies on each day, on the clock of the workspace's zone."""
    found: dict[datetime, dict[date, int]] = {start: {} for start in cycle_starts}
    for row in await tx.fetch(_SQL["days"], workspace_id, cycle_starts):
        found[row["cycle_start"]][row["day"]] = row["active_contacts"]
    return found
