"""Queries for operators about sends: read-only, from the public views and functions."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from workers.store.connection import Connection
from workers.store.page_reports import Before
from workers.store.queries import load

_SQL: Final = load("send_reports")

Row = Mapping[str, Any]

MOST_OF_A_PAGE: Final = 1_000
"""Rows that a page function returns at most."""


async def holds(tx: Connection, workspace_id: str | None, group_id: str | None, limit: int) -> list[Row]:
    """Sends that wait for a person, those that expire first on top. Without their text."""
    return list(await tx.fetch(_SQL["holds"], workspace_id, group_id, limit))


async def hold(tx: Connection, workspace_id: str, send_id: UUID) -> Row | None:
    """A hold that waits, with all that there is to tell; its content and its grounds are JSON."""
    row: Row | None = await tx.fetchrow(_SQL["hold"], workspace_id, send_id)
    return row


async def holds_of_group(tx: Connection, workspace_id: str, group_id: str, most: int) -> int:
    """How many sends of the group wait, at most `most`."""
    return int(await tx.fetchval(_SQL["holds_of_group"], workspace_id, group_id, most))


async def sends_everywhere(tx: Connection, status: str | None, limit: int) -> list[Row]:
    """Sends of all workspaces, those that changed last on top; at most 1,000 of each workspace."""
    return list(await tx.fetch(_SQL["sends_everywhere"], status, limit))


async def sends(tx: Connection, workspace_id: str, status: str | None, before: Before, limit: int) -> list[Row]:
    """Sends of a workspace, those that changed last on top. Read page by page."""
    rows: list[Row] = []
    while (most := min(MOST_OF_A_PAGE, limit - len(rows))) > 0:
        last = (rows[-1]["updated_at"], rows[-1]["send_id"]) if rows else before
        page = await tx.fetch(_SQL["sends_page"], workspace_id, status, *last, most)
        rows += page
        if len(page) < most:
            break
    return rows


async def sends_of_contact(
    tx: Connection,
    workspace_id: str,
    contact_id: UUID,
    group_id: str | None,
    status: str | None,
    before: Before,
    limit: int,
) -> list[Row]:
    wanted = (workspace_id, contact_id, group_id, status, *before.definite(), limit)
    return list(await tx.fetch(_SQL["sends_of_contact"], *wanted))


async def sends_of_group(
    tx: Connection, workspace_id: str, group_id: str, status: str | None, before: Before, limit: int
) -> list[Row]:
    return list(await tx.fetch(_SQL["sends_of_group"], workspace_id, group_id, status, *before.definite(), limit))


async def group(tx: Connection, workspace_id: str, group_id: str) -> dict[str, int]:
    """How many sends of the group have each status."""
    return dict(await tx.fetch(_SQL["group"], workspace_id, group_id))


async def send(tx: Connection, workspace_id: str, send_id: UUID) -> Row | None:
    """A send with all that there is to tell; its content is JSON."""
    row: Row | None = await tx.fetchrow(_SQL["send"], workspace_id, send_id)
    return row


async def attempts(tx: Connection, workspace_id: str, send_id: UUID) -> list[Row]:
    """The attempts of a send, each with what receipts said of it."""
    return list(await tx.fetch(_SQL["attempts"], workspace_id, send_id))


async def confirmations(tx: Connection, workspace_id: str, send_id: UUID) -> list[Row]:
    """The confirmations of a send, the first one on top."""
    return list(await tx.fetch(_SQL["confirmations"], workspace_id, send_id))


async def status_of_send(tx: Connection, workspace_id: str, send_id: UUID) -> str | None:
    status: str | None = await tx.fetchval(_SQL["status_of_send"], workspace_id, send_id)
    return status


async def region(tx: Connection, workspace_id: str) -> Row | None:
    """The workspace's `default_region`; None: there is no such workspace."""
    row: Row | None = await tx.fetchrow(_SQL["region"], workspace_id)
    return row


async def channels_named(tx: Connection, workspace_id: str, name: str) -> list[Row]:
    """The channels that have this id or this kind, each with its own `default_region`."""
    return list(await tx.fetch(_SQL["channels_named"], workspace_id, name))


async def may_send_to_contact(
    tx: Connection, workspace_id: str, contact_id: UUID, channel: str, hashes: Sequence[bytes]
) -> Row:
    """Whether a send to this contact would be dispatched now: `allowed`, `reason`, `reasons`."""
    row: Row = await tx.fetchrow(_SQL["may_send_to_contact"], workspace_id, contact_id, channel, hashes)
    return row


async def may_send_to_address(
    tx: Connection, workspace_id: str, address: str, channel: str, hashes: Sequence[bytes]
) -> Row:
    """The same for an address in its look-up form."""
    row: Row = await tx.fetchrow(_SQL["may_send_to_address"], workspace_id, address, channel, hashes)
    return row
