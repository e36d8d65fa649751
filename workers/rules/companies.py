"""Statuses and companies: they are defined, and protect the profiles that have them (contract 2)."""

from dataclasses import replace
from typing import assert_never

from schemas.profile_commands import DefineCompany, DefineStatus, ProtectCompany, UnprotectCompany
from workers.rules.last_write_wins import Flag, LastWrite, WriteStamp
from workers.rules.profile_book import Company, ProfileBook
from workers.rules.results import Done, Refused, Result

ProtectingCommand = DefineStatus | DefineCompany | ProtectCompany | UnprotectCompany


def protect(book: ProfileBook, command: ProtectingCommand, stamp: WriteStamp) -> Result:
    """The result of a command, which is written into the book."""
    match command:
        case DefineStatus():
            return _define_status(book, command, stamp)
        case DefineCompany():
            return _define_company(book, command, stamp)
        case ProtectCompany():
            return _switch_company(book, command, stamp, on=True)
        case UnprotectCompany():
            return _switch_company(book, command, stamp, on=False)
        case _:
            assert_never(command)


def _define_status(book: ProfileBook, command: DefineStatus, stamp: WriteStamp) -> Result:
    key = (command.workspace_id, command.name)
    before = book.statuses.get(key)
    after = (before or Flag()).switch(on=command.protected, stamp=stamp)
    book.statuses[key] = after
    if before is None:
        return Done({"name": command.name, "protected": command.protected})
    return Done() if after.on == before.on else Done({"protected": after.on})


def _define_company(book: ProfileBook, command: DefineCompany, stamp: WriteStamp) -> Result:
    key = (command.workspace_id, command.company_id)
    before = book.companies.get(key)
    if before is None:
        book.companies[key] = Company(LastWrite(command.name, stamp))
        return Done({"company_id": command.company_id, "name": command.name})
    after = book.companies[key] = replace(before, name=before.name.write(command.name, stamp))
    return Done() if after.name.value == before.name.value else Done({"name": after.name.value})


def _switch_company(
    book: ProfileBook, command: ProtectCompany | UnprotectCompany, stamp: WriteStamp, *, on: bool
) -> Result:
    key = (command.workspace_id, command.company_id)
    before = book.companies.get(key)
    if before is None:
        return Refused("not_found", "`company_id`: this workspace has no company with this id")
    after = book.companies[key] = replace(before, protection=before.protection.switch(on=on, stamp=stamp))
    return Done() if after.protection.on == before.protection.on else Done({"protected": after.protection.on})
