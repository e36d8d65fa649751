"""One cycle, with what decides when it closes and what its count can still come to."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from workers.process.postgres import Postgres
from workers.process.queries import statements
from workers.rules.mac_chart import day_of

_SQL: Final = statements("console", "cycles")
_AT_ONCE: Final = 1_000
_ADJUSTMENTS: Final = 100
_NIL: Final = UUID(int=0)
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Cycle:
    """`count`: the columns of `mac_counts`, and `at_least`, `at_most`, `as_of` of `mac_bounds`. `limit`: None: there is
    none. `closes_at`: when it closes, as long as it is open. `again`: `done` of `total`, if the workspace is counted
    again. `delays`: the partitions that hold it open past that time: `topic`, `partition`, `applied_until`.
    """

    count: Row
    limit: int | None
    closes_at: datetime
    again: Row | None
    delays: Sequence[Row]

    @property
    def billed(self) -> int:
        """The count with its adjustments."""
        billed: int = self.count["active_contacts"] + self.count["adjustments"]
        return billed


async def cycles(connection: Any, workspace_id: str, most: int) -> Sequence[Row]:
    """The newest cycles that have begun: `cycle_start`, `cycle_end`, `active_contacts`, `status`; `first`, `last`: its
    days on the clock of the workspace.
    """
    rows = await connection.fetch(_SQL["cycles"], workspace_id, most)
    return [dict(row) | _days(row) for row in rows]


def _days(row: Row) -> dict[str, Any]:
    zone = row["time_zone"] or "UTC"
    return {"first": day_of(row["cycle_start"], zone), "last": day_of(row["cycle_end"], zone) - timedelta(days=1)}


async def cycle(connection: Any, workspace_id: str, cycle_start: datetime) -> Cycle | None:
    """A cycle; None: there is none that begins then."""
    count = await connection.fetchrow(_SQL["cycle"], workspace_id, cycle_start)
    if count is None:
        return None
    settings = await connection.fetchrow(_SQL["settings"], workspace_id)
    again = await connection.fetchrow(_SQL["counting_again"], workspace_id)
    closes_at = count["cycle_end"] + timedelta(hours=settings["close_grace_hours"])
    delays: Sequence[Any] = []
    if count["status"] == "open":
        delays = await connection.fetch(_SQL["delays"], closes_at)
    told = None if again is None else dict(again)
    return Cycle(dict(count), settings["mac_limit"], closes_at, told, [dict(row) for row in delays])


async def contacts(postgres: Postgres, workspace_id: str, cycle_start: datetime) -> AsyncIterator[Sequence[Row]]:
    """The contacts that count in a cycle, by id, page by page; each page is read when it is asked for."""
    after = _NIL
    while page := await postgres.fetch(_SQL["contacts_from"], workspace_id, cycle_start, after, _AT_ONCE):
        yield page
        after = page[-1]["contact_id"]


async def adjustments(postgres: Postgres, workspace_id: str, cycle_start: datetime) -> AsyncIterator[Sequence[Row]]:
    """The adjustments of a cycle, the first ones first, page by page."""
    after = 0
    while page := await postgres.fetch(_SQL["adjustments_after"], workspace_id, cycle_start, after, _AT_ONCE):
        yield page
        after = page[-1]["adjustment_id"]


async def adjustments_of_contact(
    connection: Any, workspace_id: str, cycle_start: datetime, contact_id: UUID
) -> Sequence[Row]:
    """The first adjustments by which a contact changed the count of a cycle."""
    asked = (workspace_id, cycle_start, contact_id, _ADJUSTMENTS)
    return [dict(row) for row in await connection.fetch(_SQL["adjustments_of_contact"], *asked)]
