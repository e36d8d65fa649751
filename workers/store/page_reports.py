"""Lists for operators, page by page: read-only, from the public views and functions. The last row of a page leads to
the next one; a page has 1,000 rows at most.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from workers.store.connection import Connection
from workers.store.queries import load

_SQL: Final = load("page_reports")
_NOBODY: Final = UUID(int=0)
_FIRST, _NEVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)

Row = Mapping[str, Any]


CONFIGURED: Final = ("settings", "channels", "statuses", "companies", "fields", "tags")
"""What is configured in a workspace."""


class Before(NamedTuple):
    """Only what is older than a time, or of that time and with a smaller id. None: from the newest on; without an id
    only what is older than the time.
    """

    at: datetime | None = None
    id: UUID | None = None

    def definite(self) -> tuple[datetime, UUID]:
        """The same without None."""
        return self.at or _NEVER, self.id or _NOBODY


async def contacts(tx: Connection, workspace_id: str, after: Row | None, limit: int) -> list[Row]:
    """Contacts that are not blocked, by name, behind one of them; those without a name are last. `custom` is JSON."""
    behind = (None, None) if after is None else (after["display_name"], after["contact_id"])
    return list(await tx.fetch(_SQL["contacts_by_name"], workspace_id, *behind, limit))


async def contacts_with_tag(tx: Connection, workspace_id: str, tag: str, after: UUID | None, limit: int) -> list[Row]:
    """Contacts with a tag that are not blocked, by id, behind one of them. `custom` is JSON."""
    return list(await tx.fetch(_SQL["contacts_with_tag"], workspace_id, tag, after or _NOBODY, limit))


async def blocked_contacts(tx: Connection, workspace_id: str, before: Before, limit: int) -> list[Row]:
    """Blocked contacts, those that were blocked last on top."""
    return list(await tx.fetch(_SQL["blocked_contacts"], workspace_id, *before.definite(), limit))


async def block(tx: Connection, workspace_id: str, contact_id: UUID) -> list[Row]:
    """Since when a contact is blocked, and by whom: one row, none if it is not."""
    return list(await tx.fetch(_SQL["block"], workspace_id, contact_id))


async def conversation(tx: Connection, workspace_id: str, contact_id: UUID, before: Before, limit: int) -> list[Row]:
    """Messages of a contact, newest first. `content` is JSON, or None where it was erased."""
    return list(await tx.fetch(_SQL["conversation"], workspace_id, contact_id, *before, limit))


async def moments(tx: Connection, workspace_id: str, profile_id: str, before: Before, limit: int) -> list[Row]:
    """Messages of all contacts of a profile, newest first. `content` and `attachments` are JSON or None."""
    return list(await tx.fetch(_SQL["moments"], workspace_id, profile_id, *before, limit))


async def profiles(tx: Connection, workspace_id: str, after: Row | None, limit: int) -> list[Row]:
    """Profiles by name, behind one of them."""
    name, profile_id = ("", "") if after is None else (after["name"], after["profile_id"])
    return list(await tx.fetch(_SQL["profiles"], workspace_id, name, profile_id, limit))


async def suggestions(tx: Connection, workspace_id: str, after: tuple[str, str], limit: int) -> list[Row]:
    """Values that several contacts share, by field and value, behind these."""
    return list(await tx.fetch(_SQL["suggestions"], workspace_id, *after, limit))


async def suggestions_of_contact(tx: Connection, workspace_id: str, contact_id: UUID, limit: int) -> list[Row]:
    """Contacts that share a value with this one."""
    return list(await tx.fetch(_SQL["suggestions_of_contact"], workspace_id, contact_id, limit))


async def merges(tx: Connection, workspace_id: str, before: Before, limit: int) -> list[Row]:
    """Merges of contacts, the newest on top, undone ones as well."""
    return list(await tx.fetch(_SQL["merges"], workspace_id, *before.definite(), limit))


class Audited(NamedTuple):
    """Whose commands, of which name, applied from a time on; None: any."""

    actor: str | None = None
    command: str | None = None
    since: datetime | None = None


async def audit(tx: Connection, workspace_id: str, wanted: Audited, before: Before, limit: int) -> list[Row]:
    """Commands and what became of them, those that were applied last on top. `changed` is JSON."""
    arguments = (wanted.actor, wanted.command, wanted.since or _FIRST)
    return list(await tx.fetch(_SQL["audit"], workspace_id, *arguments, *before.definite(), limit))


async def command(tx: Connection, workspace_id: str, command_id: UUID) -> Row | None:
    """A command that was applied, and its result. `changed` is JSON."""
    row: Row | None = await tx.fetchrow(_SQL["command"], workspace_id, command_id)
    return row


async def drops(tx: Connection, workspace_id: str, before: Before, limit: int) -> list[Row]:
    """Dropped messages, the latest on top."""
    return list(await tx.fetch(_SQL["drops"], workspace_id, *before, limit))


async def drops_of_contact(
    tx: Connection, workspace_id: str, contact_id: UUID, before: Before, limit: int
) -> list[Row]:
    """Dropped messages of a contact, the latest on top."""
    return list(await tx.fetch(_SQL["drops_of_contact"], workspace_id, contact_id, *before, limit))


async def workspaces(tx: Connection, after: str, limit: int) -> list[Row]:
    """Workspaces behind one, by id, with their settings."""
    return list(await tx.fetch(_SQL["workspaces"], after, limit))


async def configured(tx: Connection, workspace_id: str, limit: int) -> dict[str, list[Row]]:
    """What is configured in a workspace, at most `limit` rows of each. `value` of settings is JSON; they are in effect
    from `holds_from` on, also those that will be.
    """
    return {name: list(await tx.fetch(_SQL[name], workspace_id, limit)) for name in CONFIGURED}
