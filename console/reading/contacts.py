"""Contacts: lists of them, one of them, and what belongs to it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from console.reading.paging import BY_TIME, Keyset, Rows, page
from workers.process.queries import statements

_SQL: Final = statements("console", "contacts")
_BY_NAME: Final = Keyset(("display_name", "contact_id"), (str | None, UUID))
_BY_ID: Final = Keyset(("contact_id",), (UUID,))
_BLOCKED: Final = Keyset(("blocked_at", "contact_id"), BY_TIME)
_FOUND: Final = Keyset(("_rank", "_name", "contact_id"), (int, str, UUID))
_CHANNELS: Final = Keyset(("channel", "_channel_id", "_address"), (str, str, str))
_MESSAGES: Final = Keyset(("event_time", "message_id"), BY_TIME)
_SUGGESTIONS: Final = Keyset(("field", "value"), (str, str))
_MERGES: Final = Keyset(("merged_at", "merge_id"), (datetime, UUID))


async def by_name(connection: Any, workspace_id: str, limit: int, cursor: str | None) -> Rows:
    """Contacts that are not blocked, by name: the columns of `contact_list`. Raises as `page`."""
    return await page(connection, _SQL["by_name"], (workspace_id,), _BY_NAME, limit, cursor)


async def with_tag(connection: Any, workspace_id: str, tag: str, limit: int, cursor: str | None) -> Rows:
    """Contacts that have a tag and are not blocked, by id: the columns of `contact_list`. Raises as `page`."""
    return await page(connection, _SQL["with_tag"], (workspace_id, tag), _BY_ID, limit, cursor)


async def blocked(connection: Any, workspace_id: str, limit: int, cursor: str | None) -> Rows:
    """Blocked contacts, those that were blocked last on top: the columns of `contact_overview`, `blocked_at` and
    `blocked_by`. Raises as `page`.
    """
    return await page(connection, _SQL["blocked"], (workspace_id,), _BLOCKED, limit, cursor)


async def found(connection: Any, workspace_id: str, query: str, limit: int, cursor: str | None) -> Rows:
    """Contacts that are found by what somebody types, at most 1,000: columns of `contact_list`. Raises as `page`."""
    return await page(connection, _SQL["found"], (workspace_id, query), _FOUND, limit, cursor)


async def contact(connection: Any, workspace_id: str, contact_id: UUID) -> Mapping[str, Any] | None:
    """A contact: the columns of `contact_overview`, `blocked_at` and `blocked_by`; None: it is unknown, deleted, or
    merged (see `present`).
    """
    row = await connection.fetchrow(_SQL["contact"], workspace_id, contact_id)
    return None if row is None else dict(row)


async def present(connection: Any, workspace_id: str, contact_id: UUID) -> UUID:
    """Who a contact is now, after merges: itself, if it was not merged, or is not known."""
    now: UUID = await connection.fetchval(_SQL["present"], workspace_id, contact_id)
    return now


async def channels(connection: Any, workspace_id: str, contact_id: UUID, limit: int, cursor: str | None) -> Rows:
    """The channels of a contact: the columns of `contact_channels`. Raises as `page`."""
    return await page(connection, _SQL["channels"], (workspace_id, contact_id), _CHANNELS, limit, cursor)


async def messages(connection: Any, workspace_id: str, contact_id: UUID, limit: int, cursor: str | None) -> Rows:
    """A conversation, the newest on top: the columns of `conversation_messages`. Raises as `page`."""
    return await page(connection, _SQL["messages"], (workspace_id, contact_id), _MESSAGES, limit, cursor)


async def suggestions(connection: Any, workspace_id: str, limit: int, cursor: str | None) -> Rows:
    """What several contacts share: the columns of `merge_suggestions`. Raises as `page`."""
    return await page(connection, _SQL["suggestions"], (workspace_id,), _SUGGESTIONS, limit, cursor)


async def suggestions_of(
    connection: Any, workspace_id: str, contact_id: UUID, limit: int
) -> Sequence[Mapping[str, Any]]:
    """With whom a contact shares a value: `contact_id`, `field`, `value`."""
    rows = await connection.fetch(_SQL["suggestions_of"], workspace_id, contact_id, limit)
    return [dict(row) for row in rows]


async def merges(connection: Any, workspace_id: str, limit: int, cursor: str | None) -> Rows:
    """Merges, the newest on top: the columns of `merge_history`. Raises as `page`."""
    return await page(connection, _SQL["merges"], (workspace_id,), _MERGES, limit, cursor)
