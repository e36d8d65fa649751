"""The queue of holds, as the page that answers them shows it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from console.reading.paging import BY_TIME, Keyset, Rows, page
from workers.process.queries import statements

_SQL: Final = statements("console", "queue")
_HELD: Final = Keyset(("held_at", "send_id"), BY_TIME)
MOST_WAITING: Final = 1_000
LOOKED_AT: Final = 200


async def queue(connection: Any, workspace_id: str, group_id: str | None, limit: int, cursor: str | None) -> Rows:
    """Holds, oldest first, with the beginning of the text and the recipient's name, or else the address. Raises as
    `page`.
    """
    return await page(connection, _SQL["queue"], (workspace_id, group_id), _HELD, limit, cursor)


async def after(
    connection: Any, workspace_id: str, group_id: str | None, held_at: datetime, send_id: UUID
) -> UUID | None:
    """The hold behind one in the queue, or else the first one; None: nothing waits."""
    rows = await connection.fetch(_SQL["next"], workspace_id, group_id, held_at, send_id)
    return rows[0]["send_id"] if rows else None


async def answer(connection: Any, workspace_id: str, send_id: UUID) -> Mapping[str, Any] | None:
    """What became of a hold: `status`, `reason`, `answered_at`, `answered_by` (None: nobody, or it is not known); None:
    there is no such send.
    """
    row = await connection.fetchrow(_SQL["answer"], workspace_id, send_id)
    return None if row is None else dict(row)


async def waiting(connection: Any, workspace_id: str, group_id: str) -> int:
    """How many holds of a group wait; at most one more than `MOST_WAITING`."""
    number: int = await connection.fetchval(_SQL["waiting"], workspace_id, group_id, MOST_WAITING + 1)
    return number


async def outlook(connection: Any, workspace_id: str, group_id: str, person: str) -> Mapping[str, int]:
    """What a confirmation of a group by this person would do now, for its first `LOOKED_AT` holds: how many would be
    `released`, `held` once more, `refused`, are the person's `own` and need another one, or have `expired`.
    """
    return dict(await connection.fetchrow(_SQL["outlook"], workspace_id, group_id, person, LOOKED_AT))
