"""Names of the contacts and companies that a page mentions."""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from workers.process.queries import statements

_SQL: Final = statements("console", "naming")


async def names(connection: Any, workspace_id: str, contacts: Iterable[UUID]) -> Mapping[UUID, Mapping[str, Any]]:
    """`display_name`, `phone`, `email` and `blocked` of contacts, by id. Those that were deleted are missing."""
    rows = await connection.fetch(_SQL["names"], workspace_id, sorted(set(contacts)))
    return {row["contact_id"]: dict(row) for row in rows}


async def companies(connection: Any, workspace_id: str, ids: Iterable[str]) -> Mapping[str, str]:
    """Names of companies, by id. Those that are not defined are missing."""
    rows = await connection.fetch(_SQL["companies"], workspace_id, sorted(set(ids)))
    return {row["company_id"]: row["name"] for row in rows}
