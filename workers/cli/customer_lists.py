"""What `sluice contacts list`, `profiles list`, `merge-suggestions` and `merges` show."""

from typing import Final
from uuid import UUID

from workers.app.database_failures import reading
from workers.app.settings import Settings
from workers.cli import paging
from workers.cli.customers import DETAILS_OF_CONTACT, contact_row, no_contact, no_profile
from workers.cli.reports import Report, require_workspace
from workers.errors import SettingsError
from workers.store import page_reports, reports
from workers.store.connection import Connection

_FIELDS: Final = ("email", "phone")


async def contacts(settings: Settings, workspace: str, tag: str | None, after: UUID | None, limit: int) -> Report:
    """Contacts that are not blocked, by name; with a tag only those that have it, by id.

    Raises:
        NotFound: there is no such workspace, or `after` is no such contact.
    """
    async with reading(settings) as tx:
        if tag is not None:
            rows = await page_reports.contacts_with_tag(tx, workspace, tag, after, limit)
        else:
            last = None if after is None else await _contact(tx, workspace, after)
            rows = await page_reports.contacts(tx, workspace, last, limit)
        if not rows:
            await require_workspace(tx, workspace)
        found = [contact_row(row) for row in rows]
        following = paging.behind(rows, "contact_id")
        return Report(
            {"contacts": found}, hint=_NONE_LEFT, details=DETAILS_OF_CONTACT, limit=limit, following=following
        )


_NONE_LEFT: Final = "There is no such contact, or it is blocked."


async def _contact(tx: Connection, workspace: str, contact_id: UUID) -> reports.Row:
    row = await reports.contact(tx, workspace, contact_id)
    if row is None:
        raise await no_contact(tx, workspace, contact_id)
    return row


async def blocked(settings: Settings, workspace: str, before: str | None, limit: int) -> Report:
    """Blocked contacts, those that were blocked last on top.

    Raises:
        NotFound: there is no such workspace.
        SettingsError: see `paging.before`.
    """
    start = paging.before(before)
    async with reading(settings) as tx:
        rows = await page_reports.blocked_contacts(tx, workspace, start, limit)
        if not rows:
            await require_workspace(tx, workspace)
        following = paging.older_than(rows, "blocked_at", "contact_id")
        return Report({"blocked contacts": rows}, hint="Nobody is blocked.", limit=limit, following=following)


async def profiles(settings: Settings, workspace: str, after: str | None, limit: int) -> Report:
    """Profiles by name.

    Raises:
        NotFound: there is no such workspace, or `after` is no profile of it.
    """
    async with reading(settings) as tx:
        last = None if after is None else await reports.profile(tx, workspace, after)
        if after is not None and last is None:
            raise await no_profile(tx, workspace, after)
        rows = await page_reports.profiles(tx, workspace, last, limit)
        if not rows:
            await require_workspace(tx, workspace)
        details = ("protected", "created_by", "created_at")
        following = paging.behind(rows, "profile_id")
        return Report(
            {"profiles": rows}, hint="There is no profile.", details=details, limit=limit, following=following
        )


async def suggestions(
    settings: Settings, workspace: str, contact: UUID | None, after: str | None, limit: int
) -> Report:
    """Values that several contacts share; of a contact whom it shares which value with.

    Raises:
        NotFound: there is no such workspace.
        SettingsError: `after` is not a field and a value.
    """
    field, colon, value = (after or "").partition(":")
    if after is not None and (field not in _FIELDS or not colon):
        raise SettingsError(f"--after: expected email:VALUE or phone:VALUE, got {after!r}")
    async with reading(settings) as tx:
        if contact is not None:
            rows = await page_reports.suggestions_of_contact(tx, workspace, contact, limit)
            following = None
        else:
            rows = await page_reports.suggestions(tx, workspace, (field, value), limit)
            following = paging.behind(rows, "field", "value")
        if not rows:
            await require_workspace(tx, workspace)
        hint = "No contacts share a number or an e-mail address."
        return Report({"merge suggestions": rows}, hint=hint, limit=limit, following=following)


async def merges(settings: Settings, workspace: str, before: str | None, limit: int) -> Report:
    """Merges of contacts, the newest on top.

    Raises:
        NotFound: there is no such workspace.
        SettingsError: see `paging.before`.
    """
    start = paging.before(before)
    async with reading(settings) as tx:
        rows = await page_reports.merges(tx, workspace, start, limit)
        if not rows:
            await require_workspace(tx, workspace)
        hint = "No contacts were merged in this workspace."
        following = paging.older_than(rows, "merged_at", "merge_id")
        return Report({"merges": rows}, hint=hint, limit=limit, following=following)
