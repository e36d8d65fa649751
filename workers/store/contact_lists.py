"""Lists of contacts for the command line, from what is public: page by page, so that no query is long."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final
from uuid import UUID

from workers.rules.cycles import calendar_of
from workers.rules.workspace import Policies
from workers.store.connection import Connection
from workers.store.queries import load
from workers.store.workspaces import Workspace

_SQL = load("contact_lists")

MOST_FOUND: Final = 1_000
"""A search finds no more."""
_PAGE: Final = 1_000
_BEFORE_ALL: Final = UUID(int=0)

Row = Mapping[str, Any]


async def pages(tx: Connection, workspace_id: str, tag: str | None = None) -> AsyncIterator[list[Row]]:
    """Contacts that are not blocked, by id; with a tag only those that have it. `custom` and `identities` are JSON.

    A contact that comes into the list meanwhile may be missing; no contact comes twice.
    """
    after = _BEFORE_ALL
    while rows := await tx.fetch(_SQL["page"], workspace_id, tag, after, _PAGE):
        yield list(rows)
        after = rows[-1]["contact_id"]


async def found(tx: Connection, workspace_id: str, query: str) -> list[UUID]:
    """The contacts that a search finds, `MOST_FOUND` at most."""
    return [row["contact_id"] for row in await tx.fetch(_SQL["found"], workspace_id, query, MOST_FOUND)]


async def fields(tx: Connection, workspace_id: str, scope: str) -> list[Row]:
    """Custom fields: name, type and options."""
    return list(await tx.fetch(_SQL["fields"], workspace_id, scope))


async def tenant(tx: Connection, workspace_id: str) -> Workspace:
    """The workspace with what says how an address is read: its regions and channels. The rest has its defaults."""
    channels = await tx.fetch(_SQL["channels"], workspace_id)
    return Workspace(
        workspace_id,
        first_message_at=None,
        settings=(),
        policies=Policies(default_region=await tx.fetchval(_SQL["region"], workspace_id)),
        calendar=calendar_of(()),
        regions={row["channel_id"]: row["default_region"] for row in channels},
        channels={row["channel_id"]: row["channel"] for row in channels},
    )
