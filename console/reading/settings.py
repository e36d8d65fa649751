"""Workspaces, and what is configured in one."""

from collections.abc import Mapping
from typing import Any, Final

from console.person import Person
from console.reading.paging import Keyset, Rows, page
from workers.process.queries import statements

_SQL: Final = statements("console", "settings")
_BY_ID: Final = Keyset(("workspace_id",), (str,))
_BY_COMPANY: Final = Keyset(("company_id",), (str,))
MOST: Final = 1_000
"""Of each kind of settings."""


async def exists(connection: Any, workspace_id: str) -> bool:
    """Whether the workspace has had a record."""
    return bool(await connection.fetchval(_SQL["exists"], workspace_id))


async def workspaces(connection: Any, person: Person, limit: int, cursor: str | None) -> Rows:
    """The workspaces that the person sees, by id: the columns of `workspace_settings`. Raises as `page`."""
    seen = (person.is_operator, list(person.workspaces))
    return await page(connection, _SQL["workspaces"], seen, _BY_ID, limit, cursor)


async def workspace(connection: Any, workspace_id: str) -> Mapping[str, Any] | None:
    """The values that hold now: the columns of `workspace_settings`."""
    row = await connection.fetchrow(_SQL["workspace"], workspace_id)
    return None if row is None else dict(row)


async def companies(connection: Any, workspace_id: str, limit: int, cursor: str | None) -> Rows:
    """Companies by id: the columns of `companies`. Raises as `page`."""
    return await page(connection, _SQL["companies_page"], (workspace_id,), _BY_COMPANY, limit, cursor)


async def company_exists(connection: Any, workspace_id: str, company_id: str) -> bool:
    """Whether a company is defined."""
    return await connection.fetchrow(_SQL["company"], workspace_id, company_id) is not None


async def configured(connection: Any, workspace_id: str) -> Mapping[str, Any]:
    """What is configured, at most `MOST` of each: `in_effect` (`settings_in_effect`), `channels`, `statuses`
    (`profile_statuses`), `companies`, `fields` (`field_definitions`), `tags`, each with the columns of its view.
    """
    kinds = ("in_effect", "channels", "statuses", "companies", "fields", "tags")
    rows = {kind: await connection.fetch(_SQL[kind], workspace_id, MOST) for kind in kinds}
    return {kind: [dict(row) for row in found] for kind, found in rows.items()}
