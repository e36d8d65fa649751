"""Profiles, statuses, companies and attachments: load the book of what the commands name, decide in order, save it."""

from collections.abc import Sequence

from schemas.commands import (
    AttachContact,
    CreateProfile,
    DefineCompany,
    DefineStatus,
    DetachContact,
    ProtectCompany,
    SetProfileCompanies,
    SetProfileStatus,
    UnprotectCompany,
)
from workers.commands.asked import Asked
from workers.commands.targets import Targets
from workers.rules.profiles import ProfileCommand, decide, made_id, name_key
from workers.rules.results import Result
from workers.runtime.batch import Connection
from workers.store.commands import CommandKey
from workers.store.profiles import Wanted, load_book, save_book


async def carry_out(
    tx: Connection, asked: Sequence[Asked[ProfileCommand]], targets: Targets
) -> dict[CommandKey, Result]:
    """The results of the commands, whose contacts are locked for update.

    Raises:
        RetryBatch: another transaction made the same profile, status or company meanwhile.
    """
    wanted = Wanted()
    for a in asked:
        _want(wanted, a.command)
        if (contact := targets.of(a)) is not None:
            wanted.contacts.add(contact)
    before = await load_book(tx, wanted)
    book = before.copy()
    results = {a.key: decide(book, a.command, a.stamp, targets.of(a)) for a in asked}
    await save_book(tx, before, book)
    return results


def _want(wanted: Wanted, command: ProfileCommand) -> None:
    workspace_id = command.workspace_id
    match command:
        case DefineStatus():
            wanted.statuses.add((workspace_id, command.name))
        case DefineCompany() | ProtectCompany() | UnprotectCompany():
            wanted.companies.add((workspace_id, command.company_id))
        case CreateProfile():
            wanted.profiles.add((workspace_id, command.profile_id or made_id(command)))
        case SetProfileStatus():
            wanted.profiles.add((workspace_id, command.profile_id))
            if command.status is not None:
                wanted.statuses.add((workspace_id, command.status))
        case SetProfileCompanies():
            wanted.profiles.add((workspace_id, command.profile_id))
            wanted.companies.update((workspace_id, company_id) for company_id in command.company_ids)
        case AttachContact():
            wanted.profiles.add((workspace_id, command.profile_id or made_id(command)))
            if command.profile_name is not None:
                wanted.names.add((workspace_id, name_key(command.profile_name)))
        case DetachContact():
            pass
