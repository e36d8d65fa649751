"""Customers: profiles, their status and companies, the contacts attached to them, and what protects them (contract 2).

`decide` reads a `Book` that holds everything the commands at hand name, and writes each decision into it, so that the
next command sees it. The book was loaded under locks and is saved as a whole.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, assert_never
from uuid import UUID

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
from schemas.ids import fact_id
from workers.rules.registers import Flag, Register, Stamp
from workers.rules.results import Done, Refused, Result

ProfileCommand = (
    CreateProfile
    | AttachContact
    | DetachContact
    | DefineStatus
    | SetProfileStatus
    | DefineCompany
    | SetProfileCompanies
    | ProtectCompany
    | UnprotectCompany
)

Key = tuple[str, str]
"""(workspace_id, and what names the thing within it)."""

ContactKey = tuple[str, UUID]
"""(workspace_id, contact_id)."""


@dataclass(frozen=True, slots=True)
class Company:
    name: Register[str]
    protection: Flag = field(default_factory=Flag)


@dataclass(frozen=True, slots=True)
class Profile:
    """`companies` maps each company_id to the time since when the profile has belonged to it."""

    name: str
    created_by: str
    created_at: datetime
    fields: Mapping[str, Any] = field(default_factory=dict)
    status: Register[str | None] = field(default_factory=lambda: Register(None))
    companies: Register[Mapping[str, datetime]] = field(default_factory=lambda: Register({}))


@dataclass(slots=True)
class Book:
    """What is known, and after deciding what is to be saved. What is not in it does not exist.

    `named` maps (workspace_id, `name_key`) to the ids of the profiles of that name; `memberships` has every
    contact that the commands are about, with its profile.
    """

    statuses: dict[Key, Flag] = field(default_factory=dict)
    companies: dict[Key, Company] = field(default_factory=dict)
    profiles: dict[Key, Profile] = field(default_factory=dict)
    named: dict[Key, frozenset[str]] = field(default_factory=dict)
    memberships: dict[ContactKey, Register[str | None]] = field(default_factory=dict)

    def copy(self) -> "Book":
        """A book of its own with the same content."""
        return Book(
            dict(self.statuses), dict(self.companies), dict(self.profiles), dict(self.named), dict(self.memberships)
        )


def name_key(name: str) -> str:
    """What names are compared by: trimmed, NFC, case-folded. Folding can undo NFC, hence twice."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name.strip()).casefold())


def made_id(command: CreateProfile | AttachContact) -> str:
    """The id of a profile that the command makes without being told one: the same however often it is applied."""
    return str(fact_id("contacts.commands", command.workspace_id, str(command.command_id), "profile"))


def decide(book: Book, command: ProfileCommand, stamp: Stamp, contact: ContactKey | None) -> Result:
    """The result of a command, already written into the book. `contact` is its target, None if there is none."""
    match command:
        case AttachContact():
            return _attach(book, command, stamp, contact)
        case DetachContact():
            return _detach(book, stamp, contact)
        case CreateProfile():
            return _create(book, command, stamp)
        case SetProfileStatus() | SetProfileCompanies():
            return _set(book, command, stamp)
        case _:
            return _protect(book, command, stamp)


def _set(book: Book, command: SetProfileStatus | SetProfileCompanies, stamp: Stamp) -> Result:
    match command:
        case SetProfileStatus():
            return _set_status(book, command, stamp)
        case SetProfileCompanies():
            return _set_companies(book, command, stamp)
        case _:
            assert_never(command)


def _protect(
    book: Book, command: DefineStatus | DefineCompany | ProtectCompany | UnprotectCompany, stamp: Stamp
) -> Result:
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


def _define_status(book: Book, command: DefineStatus, stamp: Stamp) -> Result:
    key = (command.workspace_id, command.name)
    before = book.statuses.get(key)
    after = (before or Flag()).switch(on=command.protected, stamp=stamp)
    book.statuses[key] = after
    if before is None:
        return Done({"name": command.name, "protected": command.protected})
    return Done() if after.on == before.on else Done({"protected": after.on})


def _define_company(book: Book, command: DefineCompany, stamp: Stamp) -> Result:
    key = (command.workspace_id, command.company_id)
    before = book.companies.get(key)
    if before is None:
        book.companies[key] = Company(Register(command.name, stamp))
        return Done({"company_id": command.company_id, "name": command.name})
    after = book.companies[key] = replace(before, name=before.name.write(command.name, stamp))
    return Done() if after.name.value == before.name.value else Done({"name": after.name.value})


def _switch_company(book: Book, command: ProtectCompany | UnprotectCompany, stamp: Stamp, *, on: bool) -> Result:
    key = (command.workspace_id, command.company_id)
    before = book.companies.get(key)
    if before is None:
        return Refused("not_found")
    after = book.companies[key] = replace(before, protection=before.protection.switch(on=on, stamp=stamp))
    return Done() if after.protection.on == before.protection.on else Done({"protected": after.protection.on})


def _create(book: Book, command: CreateProfile, stamp: Stamp) -> Result:
    profile_id = command.profile_id or made_id(command)
    if not command.name.strip() or (command.workspace_id, profile_id) in book.profiles:
        return Refused("invalid")
    _add(book, command, profile_id, Profile(command.name, command.actor.id, stamp.at, command.fields or {}))
    return Done({"profile_id": profile_id})


def _add(book: Book, command: CreateProfile | AttachContact, profile_id: str, profile: Profile) -> None:
    book.profiles[command.workspace_id, profile_id] = profile
    name = (command.workspace_id, name_key(profile.name))
    book.named[name] = book.named.get(name, frozenset()) | {profile_id}


def _set_status(book: Book, command: SetProfileStatus, stamp: Stamp) -> Result:
    key = (command.workspace_id, command.profile_id)
    before = book.profiles.get(key)
    known = command.status is None or (command.workspace_id, command.status) in book.statuses
    if before is None or not known:
        return Refused("not_found")
    after = book.profiles[key] = replace(before, status=before.status.write(command.status, stamp))
    return Done() if after.status.value == before.status.value else Done({"status": after.status.value})


def _set_companies(book: Book, command: SetProfileCompanies, stamp: Stamp) -> Result:
    key = (command.workspace_id, command.profile_id)
    before = book.profiles.get(key)
    wanted = sorted(set(command.company_ids))
    if before is None or any((command.workspace_id, company_id) not in book.companies for company_id in wanted):
        return Refused("not_found")
    since = {company_id: before.companies.value.get(company_id, stamp.at) for company_id in wanted}
    after = book.profiles[key] = replace(before, companies=before.companies.write(since, stamp))
    same = after.companies.value.keys() == before.companies.value.keys()
    return Done() if same else Done({"company_ids": wanted})


def _attach(book: Book, command: AttachContact, stamp: Stamp, contact: ContactKey | None) -> Result:
    if contact is None:
        return Refused("not_found")
    found = _existing(book, command)
    if isinstance(found, Refused):
        return found
    before = book.memberships[contact]
    # An older command that loses to a later one makes no profile: nobody would belong to it.
    if not stamp.beats(before.written):
        return Done()
    profile_id = found or made_id(command)
    if found is None:
        name = (command.profile_name or "").strip()
        _add(book, command, profile_id, Profile(name, command.actor.id, stamp.at))
    book.memberships[contact] = before.write(profile_id, stamp)
    if profile_id == before.value:
        return Done()
    return Done({"profile_id": profile_id, "profile_created": found is None})


def _existing(book: Book, command: AttachContact) -> str | Refused | None:
    """The profile a command names; None if it is to be made."""
    if command.profile_id is not None:
        known = (command.workspace_id, command.profile_id) in book.profiles
        return command.profile_id if known else Refused("not_found")
    key = name_key(command.profile_name or "")
    named = book.named.get((command.workspace_id, key), frozenset())
    if len(named) == 1:
        return next(iter(named))
    makeable = key and not named and (command.workspace_id, made_id(command)) not in book.profiles
    return None if makeable else Refused("invalid")


def _detach(book: Book, stamp: Stamp, contact: ContactKey | None) -> Result:
    if contact is None:
        return Refused("not_found")
    before = book.memberships[contact]
    after = book.memberships[contact] = before.write(None, stamp)
    return Done() if after.value == before.value else Done({"profile_id": None})
