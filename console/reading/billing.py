"""Monthly active contacts."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from console.reading.paging import BY_TIME, Keyset, Rows, page
from workers.process.queries import statements

_SQL: Final = statements("console", "billing")
_BY_CYCLE: Final = Keyset(("cycle_start",), (datetime,))
_CONTACTS: Final = Keyset(("first_counted_at", "contact_id"), BY_TIME)
_ADJUSTMENTS: Final = Keyset(("adjustment_id",), (int,))
_EXPLAINED: Final = Keyset(("_place", "event_time", "message_id"), (int, datetime, UUID))


class Days(NamedTuple):
    """Cycles, the newest first, with their time zones and what became active on each day; `now`: the database's."""

    cycles: Sequence[Mapping[str, Any]]
    zones: Mapping[datetime, str]
    active: Mapping[datetime, Mapping[date, int]]
    now: datetime


async def counts(connection: Any, workspace_id: str, limit: int, cursor: str | None) -> Rows:
    """The count of each cycle, the newest on top: the columns of `mac_counts`, and `at_least`, `at_most`, `as_of` of
    `mac_bounds`. Raises as `page`.
    """
    return await page(connection, _SQL["counts"], (workspace_id,), _BY_CYCLE, limit, cursor)


async def contacts(connection: Any, workspace_id: str, cycle_start: datetime, limit: int, cursor: str | None) -> Rows:
    """The contacts that count in a cycle, those that were counted last on top: the columns of `mac_contacts`. Raises as
    `page`.
    """
    return await page(connection, _SQL["contacts"], (workspace_id, cycle_start), _CONTACTS, limit, cursor)


async def adjustments(
    connection: Any, workspace_id: str, cycle_start: datetime, limit: int, cursor: str | None
) -> Rows:
    """What changed a closed count, the first on top: the columns of `mac_adjustments`. Raises as `page`."""
    return await page(connection, _SQL["adjustments"], (workspace_id, cycle_start), _ADJUSTMENTS, limit, cursor)


async def has_cycle(connection: Any, workspace_id: str, cycle_start: datetime) -> bool:
    """Whether the workspace has a cycle that begins then."""
    return bool(await connection.fetchval(_SQL["has_cycle"], workspace_id, cycle_start))


async def present_cycle(connection: Any, workspace_id: str) -> datetime | None:
    """The start of the newest cycle; None: the workspace has no message yet."""
    start: datetime | None = await connection.fetchval(_SQL["present_cycle"], workspace_id)
    return start


async def explained(
    connection: Any, workspace_id: str, cycle_start: datetime, contact_id: UUID, limit: int, cursor: str | None
) -> Rows:
    """Why a contact counts in a cycle, or does not: its messages, the proof first, with the columns of `explain_mac`;
    one row without a message if it has none there. Raises as `page`.
    """
    asked = (workspace_id, cycle_start, contact_id)
    return await page(connection, _SQL["explained"], asked, _EXPLAINED, limit, cursor)


async def days(connection: Any, workspace_id: str, until: datetime | None, cycles: int) -> Days:
    """The last cycles up to one, or up to the present one."""
    rows = await connection.fetch(_SQL["last_cycles"], workspace_id, until, cycles)
    starts = [row["cycle_start"] for row in rows]
    active: dict[datetime, dict[date, int]] = {start: {} for start in starts}
    for row in await connection.fetch(_SQL["days"], workspace_id, starts):
        active[row["cycle_start"]][row["day"]] = row["active_contacts"]
    zones = await connection.fetch(_SQL["zones"], workspace_id, starts)
    now: datetime = await connection.fetchval(_SQL["now"])
    return Days([dict(row) for row in rows], dict(map(tuple, zones)), active, now)
