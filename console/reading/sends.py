"""Holds and sends."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from console.reading.paging import BY_TIME, Keyset, Rows, page
from workers.process.queries import statements

_SQL: Final = statements("console", "sends")
_HELD: Final = Keyset(("held_at", "send_id"), BY_TIME)


async def held(connection: Any, workspace_id: str, group_id: str | None, limit: int, cursor: str | None) -> Rows:
    """Held sends, oldest first: the columns of `held_sends`. Raises as `page`."""
    return await page(connection, _SQL["held"], (workspace_id, group_id), _HELD, limit, cursor)


async def hold(connection: Any, workspace_id: str, send_id: UUID) -> Mapping[str, Any] | None:
    """A hold with everything that one needs to decide about it; None: the send is not held."""
    row = await connection.fetchrow(_SQL["hold"], workspace_id, send_id)
    return None if row is None else dict(row)


async def send(connection: Any, workspace_id: str, send_id: UUID) -> Mapping[str, Any] | None:
    """A send: the columns of `sends`."""
    row = await connection.fetchrow(_SQL["send"], workspace_id, send_id)
    return None if row is None else dict(row)


async def sent(connection: Any, workspace_id: str, send_id: UUID) -> Mapping[str, Any] | None:
    """A send with everything that is known of it: the columns of `sends` and `send_details`, the `reasons` that hold
    it, its `attempts` (`send_attempts`) and `confirmations` (`send_confirmations`).
    """
    row = await connection.fetchrow(_SQL["sent"], workspace_id, send_id)
    if row is None:
        return None
    more = {kind: await connection.fetch(_SQL[kind], workspace_id, send_id) for kind in ("attempts", "confirmations")}
    return dict(row) | {kind: [dict(one) for one in rows] for kind, rows in more.items()}


async def group(connection: Any, workspace_id: str, group_id: str) -> Sequence[Mapping[str, Any]]:
    """How many sends of a group have each status: the columns of `send_groups`; empty: there is no such group."""
    return [dict(row) for row in await connection.fetch(_SQL["group"], workspace_id, group_id)]
