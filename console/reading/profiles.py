"""Profiles, and what was written with their contacts."""

from collections.abc import Mapping
from typing import Any, Final

from console.reading.paging import BY_TIME, Keyset, Rows, page
from workers.process.queries import statements

_SQL: Final = statements("console", "profiles")
_BY_NAME: Final = Keyset(("name", "profile_id"), (str, str))
_FOUND: Final = Keyset(("_rank", "_name", "profile_id"), (int, str, str))
_MOMENTS: Final = Keyset(("event_time", "message_id"), BY_TIME)


async def by_name(connection: Any, workspace_id: str, limit: int, cursor: str | None) -> Rows:
    """Profiles, by name: the columns of `profile_overview`. Raises as `page`."""
    return await page(connection, _SQL["by_name"], (workspace_id,), _BY_NAME, limit, cursor)


async def found(connection: Any, workspace_id: str, query: str, limit: int, cursor: str | None) -> Rows:
    """Profiles that are found by a part of their name, 1,000 at most: the columns of `profile_overview`, and
    `contacts`. Raises as `page`.
    """
    return await page(connection, _SQL["found"], (workspace_id, query), _FOUND, limit, cursor)


async def profile(connection: Any, workspace_id: str, profile_id: str) -> Mapping[str, Any] | None:
    """A profile: the columns of `profile_overview`."""
    row = await connection.fetchrow(_SQL["profile"], workspace_id, profile_id)
    return None if row is None else dict(row)


async def moments(connection: Any, workspace_id: str, profile_id: str, limit: int, cursor: str | None) -> Rows:
    """The messages of a profile's contacts, the newest on top: the columns of `profile_moments`. Raises as `page`."""
    return await page(connection, _SQL["moments"], (workspace_id, profile_id), _MOMENTS, limit, cursor)
