"""Queries for operators: read-only, from the public views if there is one."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from workers.store.connection import Connection
from workers.store.queries import load

_SQL = load("reports")

Row = Mapping[str, Any]


async def mac(
    tx: Connection, workspace_id: str | None, cycle_start: datetime | None, since: datetime | None, limit: int
) -> list[Row]:
    """Counts of cycles that begin at `cycle_start` and end after `since`, newest first within a workspace."""
    return list(await tx.fetch(_SQL["mac"], workspace_id, cycle_start, since, limit))


async def mac_accounts(tx: Connection, account: str, cycle_start: datetime | None, since: datetime | None) -> list[Row]:
    """Counts of an account's workspaces, of cycles that begin at `cycle_start` and end after `since`, newest first."""
    return list(await tx.fetch(_SQL["mac_accounts"], account, cycle_start, since))


async def time_zones(tx: Connection, workspaces: Collection[str]) -> dict[str, list[tuple[datetime, str]]]:
    """The time zones of each workspace, each with the time from which it holds, oldest first."""
    zones: dict[str, list[tuple[datetime, str]]] = {}
    for workspace_id, holds_from, name in await tx.fetch(_SQL["time_zones"], sorted(workspaces)):
        zones.setdefault(workspace_id, []).append((holds_from, name))
    return zones


async def explain_mac(
    tx: Connection, workspace_id: str, cycle_start: datetime, contact_id: UUID, limit: int
) -> list[Row]:
    """A contact's messages in a cycle, the proof first, each with what is true of the contact. Without messages there
    is one row without a message; of an unknown contact there is none.
    """
    return list(await tx.fetch(_SQL["explain_mac"], workspace_id, cycle_start, contact_id, limit))


async def adjustments_of_contact(
    tx: Connection, workspace_id: str, cycle_start: datetime, contact_id: UUID, limit: int
) -> list[Row]:
    """What a contact's count in a closed cycle was adjusted by, oldest first."""
    return list(await tx.fetch(_SQL["adjustments_of_contact"], workspace_id, cycle_start, contact_id, limit))


async def has_workspace(tx: Connection, workspace_id: str) -> bool:
    return bool(await tx.fetchval(_SQL["has_workspace"], workspace_id))


async def has_cycle(tx: Connection, workspace_id: str | None, cycle_start: datetime) -> bool:
    """Whether that workspace has such a cycle, or any workspace."""
    return bool(await tx.fetchval(_SQL["has_cycle"], workspace_id, cycle_start))


async def cycle_around(tx: Connection, workspace_id: str, at: datetime) -> datetime | None:
    """The start of the cycle that contains this time."""
    start: datetime | None = await tx.fetchval(_SQL["cycle_around"], workspace_id, at)
    return start


async def progress(tx: Connection) -> list[Row]:
    """How far each input partition is applied, and its owner."""
    return list(await tx.fetch(_SQL["progress"]))


async def standing(tx: Connection) -> list[Row]:
    """How far each input partition is applied that a worker has had, its owner, and whether that is connected."""
    return list(await tx.fetch(_SQL["standing"]))


async def database_now(tx: Connection) -> datetime:
    """The clock of the database, also within a transaction."""
    now: datetime = await tx.fetchval(_SQL["now"])
    return now


async def workers(tx: Connection) -> list[Row]:
    """Processes that have partitions or leases."""
    return list(await tx.fetch(_SQL["workers"]))


async def jobs(tx: Connection) -> list[Row]:
    """Timed jobs, publishers and repairs: the owner if there is one, and the last time."""
    return list(await tx.fetch(_SQL["jobs"]))


async def counting_again(tx: Connection, limit: int) -> list[Row]:
    """Workspaces that are being counted again, and how far that is."""
    return list(await tx.fetch(_SQL["counting_again"], limit))


async def dead_letters(tx: Connection) -> list[Row]:
    """Number and newest of the dead letters by status."""
    return list(await tx.fetch(_SQL["dead_letters"]))


async def backlog(tx: Connection) -> Row:
    """What is stored but not yet published or done."""
    row: Row = await tx.fetchrow(_SQL["backlog"])
    return row


async def pending_work(tx: Connection, limit: int) -> list[Row]:
    """Work in steps, oldest first, and its progress."""
    return list(await tx.fetch(_SQL["pending_work"], limit))


async def verification_round(tx: Connection) -> list[Row]:
    """The last check of all counts, or the one under way: one row, none before the first one."""
    return list(await tx.fetch(_SQL["verification_round"]))


async def closing_delays(tx: Connection) -> list[Row]:
    """Input partitions that hold cycles open past their closing instant."""
    return list(await tx.fetch(_SQL["closing_delays"]))


async def search_profiles(tx: Connection, workspace_id: str, query: str, limit: int) -> list[Row]:
    """Profiles with the query, a `name_key`, in their name."""
    return list(await tx.fetch(_SQL["search_profiles"], workspace_id, query, limit))


async def profile(tx: Connection, workspace_id: str, profile_id: str) -> Row | None:
    """A profile; its fields and notes are JSON."""
    row: Row | None = await tx.fetchrow(_SQL["profile"], workspace_id, profile_id)
    return row


async def contacts_of_profile(tx: Connection, workspace_id: str, profile_id: str, limit: int) -> list[Row]:
    return list(await tx.fetch(_SQL["contacts_of_profile"], workspace_id, profile_id, limit))


async def search_contacts(tx: Connection, workspace_id: str, query: str, limit: int) -> list[Row]:
    """Contacts with this address, or with the query in a name, number or e-mail address."""
    return list(await tx.fetch(_SQL["search_contacts"], workspace_id, query, limit))


async def present(tx: Connection, workspace_id: str, contact_id: UUID) -> UUID:
    """Who a contact is now: of one that was merged away the survivor."""
    found: UUID = await tx.fetchval(_SQL["present"], workspace_id, contact_id)
    return found


async def contact(tx: Connection, workspace_id: str, contact_id: UUID) -> Row | None:
    """A contact; its custom fields are JSON."""
    row: Row | None = await tx.fetchrow(_SQL["contact"], workspace_id, contact_id)
    return row


async def channels_of_contact(tx: Connection, workspace_id: str, contact_id: UUID) -> list[Row]:
    return list(await tx.fetch(_SQL["channels_of_contact"], workspace_id, contact_id))


async def command_results(tx: Connection, workspace_id: str, command_ids: Sequence[UUID]) -> list[Row]:
    """The answers to those of the commands that are applied; `changed` is JSON."""
    return list(await tx.fetch(_SQL["command_results"], workspace_id, command_ids))


async def deletions(tx: Connection, workspace_id: str | None, limit: int, *, finished: bool = True) -> list[Row]:
    """Deletions of contacts and their progress, those under way on top; without `finished` only those."""
    return list(await tx.fetch(_SQL["deletions"], workspace_id, finished, limit))


async def impact(tx: Connection, workspace_id: str, command: str) -> Row:
    """What a command would touch, by its JSON as on `contacts.commands`: runs, holds, messages, contacts and
    active_contacts. Its address is as Sluice keeps it.
    """
    row: Row = await tx.fetchrow(_SQL["impact"], workspace_id, command)
    return row
