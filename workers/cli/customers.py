"""What `sluice profiles` and `sluice contacts` show."""

from typing import Any, Final
from uuid import UUID

import msgspec

from workers.app.database_failures import reading
from workers.app.settings import Settings
from workers.cli.reports import Report, require_workspace
from workers.errors import NotFound
from workers.rules.profile_book import name_key
from workers.store import page_reports, reports
from workers.store.connection import Connection

_MOST_CONTACTS: Final = 1_000


async def find_profiles(settings: Settings, workspace: str, query: str, limit: int) -> Report:
    """Profiles with the query in their name.

    Raises:
        NotFound: there is no such workspace.
    """
    async with reading(settings) as tx:
        rows = await reports.search_profiles(tx, workspace, name_key(query), limit)
        if not rows:
            await require_workspace(tx, workspace)
        hint = f"No profile has {query!r} in its name."
        return Report({"profiles": rows}, hint=hint, details=("workspace_id", "protected"), limit=limit)


async def show_profile(settings: Settings, workspace: str, profile_id: str) -> Report:
    """A profile, its notes and its contacts.

    Raises:
        NotFound: there is no such workspace or profile.
    """
    async with reading(settings) as tx:
        row = await reports.profile(tx, workspace, profile_id)
        if row is None:
            raise await no_profile(tx, workspace, profile_id)
        profile = dict(row)
        notes = msgspec.json.decode(profile.pop("notes"))
        profile["fields"] = msgspec.json.decode(profile["fields"])
        contacts = await reports.contacts_of_profile(tx, workspace, profile_id, _MOST_CONTACTS)
        tables = {"profile": [profile], "notes": notes, "contacts": contacts}
        return Report(tables, details=("workspace_id", "protected"), limit=_MOST_CONTACTS)


async def find_contacts(settings: Settings, workspace: str, query: str, limit: int) -> Report:
    """Contacts with this address, or with the query in a name, number or e-mail address.

    Raises:
        NotFound: there is no such workspace.
    """
    async with reading(settings) as tx:
        rows = [contact_row(row) for row in await reports.search_contacts(tx, workspace, query, limit)]
        if not rows:
            await require_workspace(tx, workspace)
        hint = f"No contact has {query!r} as or in its names, numbers and addresses, or it is blocked."
        return Report({"contacts": rows}, hint=hint, details=DETAILS_OF_CONTACT, limit=limit)


async def show_contact(settings: Settings, workspace: str, contact_id: UUID) -> Report:
    """A contact, its block and its channels; of one that was merged away the survivor.

    Raises:
        NotFound: there is no such workspace or contact.
    """
    async with reading(settings) as tx:
        present = await reports.present(tx, workspace, contact_id)
        row = await reports.contact(tx, workspace, present)
        if row is None:
            raise await no_contact(tx, workspace, contact_id)
        channels = await reports.channels_of_contact(tx, workspace, present)
        block = await page_reports.block(tx, workspace, present)
        return Report({"contact": [contact_row(row)], "block": block, "channels": channels}, details=("workspace_id",))


async def show_channels(settings: Settings, workspace: str, contact_id: UUID) -> Report:
    """The channels of a contact; of one that was merged away those of the survivor.

    Raises:
        NotFound: there is no such workspace or contact.
    """
    async with reading(settings) as tx:
        present = await reports.present(tx, workspace, contact_id)
        rows = await reports.channels_of_contact(tx, workspace, present)
        if not rows and await reports.contact(tx, workspace, present) is None:
            raise await no_contact(tx, workspace, contact_id)
        return Report({"channels": rows}, hint="The contact has no address, and the workspace no channel.")


async def no_contact(tx: Connection, workspace: str, contact_id: UUID) -> NotFound:
    """There is no such contact.

    Raises:
        NotFound: there is no such workspace either.
    """
    await require_workspace(tx, workspace)
    return NotFound(f"workspace {workspace!r} has no contact {contact_id}")


async def no_profile(tx: Connection, workspace: str, profile_id: str) -> NotFound:
    """There is no such profile.

    Raises:
        NotFound: there is no such workspace either.
    """
    await require_workspace(tx, workspace)
    return NotFound(f"workspace {workspace!r} has no profile {profile_id!r}")


DETAILS_OF_CONTACT: Final = (
    *("workspace_id", "avatar_url", "first_name", "last_name", "country", "language", "assignee", "profile_id"),
    *("tags", "custom", "blocked"),
)


def contact_row(row: reports.Row) -> dict[str, Any]:
    return dict(row) | {"custom": msgspec.json.decode(row["custom"])}
