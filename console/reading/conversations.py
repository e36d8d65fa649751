"""Conversations: folders of them, and what stands beside one."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from console.reading.paging import Keyset, Rows, page
from workers.process.queries import statements

_SQL: Final = statements("console", "conversations")
_FOLDER: Final = Keyset(("_silent", "_at", "contact_id"), (int, datetime, UUID))
_CHANNELS: Final = 50
_HELD: Final = 20
_PEOPLE: Final = 200
MOST_DROPPED: Final = 1_000


async def counts(connection: Any, workspace_id: str, person: str) -> Mapping[str, int]:
    """How many conversations are `open`, of these `mine`, `snoozed`, `closed` and `blocked`."""
    return dict(await connection.fetchrow(_SQL["counts"], workspace_id, person))


async def folder(
    connection: Any, workspace_id: str, status: str, assignee: str | None, limit: int, cursor: str | None
) -> Rows:
    """Conversations of a status, those with the newest message on top: the columns of `inbox`, and `display_name`,
    `phone` and `email` of the contact; `last_text`: how its last message or comment begins. Raises as `page`.
    """
    return await page(connection, _SQL["folder"], (workspace_id, status, assignee), _FOLDER, limit, cursor)


async def snoozed_until(connection: Any, workspace_id: str, contact_id: UUID) -> datetime | None:
    """Until when a conversation is snoozed."""
    until: datetime | None = await connection.fetchval(_SQL["snoozed_until"], workspace_id, contact_id)
    return until


async def routes(connection: Any, workspace_id: str, contact_id: UUID) -> Sequence[Mapping[str, Any]]:
    """The channels of a contact, at most 50: the columns of `contact_channels`, with the `name` of the channel and the
    `reasons` of `may_send`.
    """
    return [dict(row) for row in await connection.fetch(_SQL["routes"], workspace_id, contact_id, _CHANNELS)]


async def grounds(connection: Any, profile: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """What protects a profile, of `profile_overview`: `code`, `of` (a status, or the id of a company), and `name`."""
    named = (profile["workspace_id"], profile["status"], profile["companies"])
    return [dict(row) for row in await connection.fetch(_SQL["grounds"], *named)]


async def held(connection: Any, workspace_id: str, contact_id: UUID) -> Sequence[Mapping[str, Any]]:
    """The sends to a contact that wait for a person, the oldest on top, at most 20."""
    return [dict(row) for row in await connection.fetch(_SQL["held"], workspace_id, contact_id, _HELD)]


async def dropped(connection: Any, workspace_id: str, contact_id: UUID) -> int:
    """How many messages of a contact were dropped; at most one more than `MOST_DROPPED`."""
    number: int = await connection.fetchval(_SQL["dropped"], workspace_id, contact_id, MOST_DROPPED + 1)
    return number


async def uncounted_from(connection: Any, workspace_id: str, blocked_at: datetime) -> datetime | None:
    """From when on dropped messages do not count; None: they never count."""
    at: datetime | None = await connection.fetchval(_SQL["uncounted_from"], workspace_id, blocked_at)
    return at


async def people(connection: Any, workspace_id: str) -> Sequence[str]:
    """The names of those who see a workspace, at most 200."""
    return [row["name"] for row in await connection.fetch(_SQL["people"], workspace_id, _PEOPLE)]
