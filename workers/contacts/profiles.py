"""Customers: loads the book of what the commands name, decides in order, saves the book."""

from collections.abc import Collection, Sequence
from typing import Any

from schemas.profile_commands import (
    AddNote,
    AttachContact,
    CreateProfile,
    DefineCompany,
    DefineStatus,
    DeleteNote,
    DeleteProfile,
    DetachContact,
    EditNote,
    ProfileCommand,
    ProtectCompany,
    SetProfileCompanies,
    SetProfileStatus,
    UnprotectCompany,
    UpdateProfile,
)
from workers.commands.command_record import CommandRecord
from workers.commands.targets import Targets
from workers.process.tasks import paced
from workers.rules.contact import ContactKey
from workers.rules.notes import made_note_id
from workers.rules.profile_book import name_key
from workers.rules.profiles import decide, made_id
from workers.rules.results import Result
from workers.store.commands import CommandKey
from workers.store.connection import Connection
from workers.store.profiles import ProfileBookKeys, load_book, members, save_book


async def contacts_to_detach(tx: Connection, asked: Sequence[CommandRecord[Any]]) -> set[ContactKey]:
    """The contacts of the profiles that the commands delete: they are locked before the profiles are."""
    deleted = {(a.command.workspace_id, a.command.profile_id) for a in asked if isinstance(a.command, DeleteProfile)}
    return await members(tx, deleted)


async def carry_out(
    tx: Connection,
    asked: Sequence[CommandRecord[ProfileCommand]],
    targets: Targets,
    leaving: Collection[ContactKey] = (),
) -> dict[CommandKey, Result]:
    """The results of the commands. Their contacts are locked for update, with those that `contacts_to_detach` found.

    Raises:
        RetryBatch: another transaction created the same profile, status or company meanwhile, or attached a contact to
            a profile that is being deleted.
    """
    wanted = ProfileBookKeys(contacts=targets.existing.keys() & {*leaving, *map(targets.of, asked)})
    for a in asked:
        _want(wanted, a.command)
    before = await load_book(tx, wanted)
    book = before.copy()
    results = {a.key: decide(book, a.command, a.stamp, targets.of(a)) async for a in paced(asked)}
    await save_book(tx, before, book)
    return results


def _want(wanted: ProfileBookKeys, command: ProfileCommand) -> None:
    match command:
        case DefineStatus():
            wanted.statuses.add((command.workspace_id, command.name))
        case DefineCompany() | ProtectCompany() | UnprotectCompany():
            wanted.companies.add((command.workspace_id, command.company_id))
        case CreateProfile():
            wanted.profiles.add((command.workspace_id, command.profile_id or made_id(command)))
        case AttachContact():
            _want_to_join(wanted, command)
        case DetachContact():
            pass
        case _:
            _want_profile(wanted, command)


def _want_to_join(wanted: ProfileBookKeys, command: AttachContact) -> None:
    key = (command.workspace_id, command.profile_id or made_id(command))
    wanted.profiles.add(key)
    wanted.joined.add(key)
    if command.profile_name is not None:
        wanted.names.add((command.workspace_id, name_key(command.profile_name)))


def _want_profile(
    wanted: ProfileBookKeys,
    command: UpdateProfile | DeleteProfile | SetProfileStatus | SetProfileCompanies | AddNote | EditNote | DeleteNote,
) -> None:
    workspace_id = command.workspace_id
    key = (workspace_id, command.profile_id)
    wanted.profiles.add(key)
    match command:
        case UpdateProfile():
            pass
        case DeleteProfile():
            wanted.ended.add(key)
        case SetProfileStatus():
            if command.status is not None:
                wanted.statuses.add((workspace_id, command.status))
        case SetProfileCompanies():
            wanted.companies.update((workspace_id, company_id) for company_id in command.company_ids)
        case AddNote():
            wanted.noted.add(key)
            wanted.notes.add((*key, command.note_id or made_note_id(command)))
        case EditNote() | DeleteNote():
            wanted.notes.add((*key, command.note_id))
