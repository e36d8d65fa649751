"""The count of each cycle as the topic billing.mac has it, and which of them are not published yet."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from workers.store.arrays import columns
from workers.store.connection import Connection
from workers.store.queries import load

_SQL = load("mac")


class CycleMark(NamedTuple):
    """A shard of a count that changed, and its revision at that time."""

    workspace_id: str
    cycle_start: datetime
    shard: str
    revision: int


async def unpublished(tx: Connection, limit: int) -> list[CycleMark]:
    """Counts with unpublished changes."""
    return [CycleMark(*row) for row in await tx.fetch(_SQL["unpublished"], limit)]


async def counts(
    tx: Connection, cycles: Iterable[tuple[str, datetime]]
) -> dict[tuple[str, datetime], Mapping[str, Any]]:
    """The rows of the view `mac_counts`. Deleted cycles are left out."""
    rows = await tx.fetch(_SQL["counts"], *columns(list(set(cycles)), 2))
    return {(row["workspace_id"], row["cycle_start"]): row for row in rows}


async def revisions(tx: Connection, cycles: Collection[tuple[str, datetime]]) -> dict[tuple[str, datetime], int]:
    """Revisions of the cycles that exist."""
    return {key: row["revision"] for key, row in (await counts(tx, cycles)).items()}


async def mark_for_repair(tx: Connection, cycles: Collection[tuple[str, datetime]]) -> None:
    """Marks cycles whose record on billing.mac is wrong, also if there is no such cycle."""
    await tx.execute(_SQL["mark_for_repair"], *columns(list(cycles), 2))


async def clear_unpublished(tx: Connection, marks: Sequence[CycleMark]) -> None:
    """Deletes these marks, unless the count changed again meanwhile."""
    await tx.execute(_SQL["clear_unpublished"], *columns(marks, 4))
