"""Customers: profiles, their fields, status and companies, and the contacts they group (contract 2).

`decide` reads a `ProfileBook` with everything that the commands need, and writes each decision into it.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, assert_never

from schemas import limits
from schemas.changes import CUSTOM
from schemas.fields import FieldValue
from schemas.ids import fact_id
from schemas.profile_commands import (
    AddNote,
    AttachContact,
    CreateProfile,
    DeleteNote,
    DeleteProfile,
    DetachContact,
    EditNote,
    ProfileCommand,
    SetProfileCompanies,
    SetProfileStatus,
    UpdateProfile,
)
from workers.rules import custom_fields
from workers.rules.companies import protect
from workers.rules.contact import ContactKey
from workers.rules.last_write_wins import LastWrite, WriteStamp
from workers.rules.notes import note
from workers.rules.profile_book import Profile, ProfileBook, name_key
from workers.rules.results import NO_PROFILE, Done, Refused, Result, nobody

_NO_NAME: Final = Refused("invalid", "`name`: expected a text with at least one visible character")
_TOO_MANY_FIELDS: Final = Refused("invalid", f"expected at most {limits.FIELDS_PER_PROFILE} custom fields on a profile")
_TOO_MUCH: Final = Refused(
    "invalid", f"the custom fields of a profile have at most {limits.CUSTOM_BYTES:,} bytes together, as JSON"
)
_FULL: Final = Refused(
    "invalid", f"expected a profile with fewer than {limits.CONTACTS_PER_PROFILE:,} contacts; detach others first"
)


def made_id(command: CreateProfile | AttachContact) -> str:
    """The id of a profile that a command creates without naming one: the same each time the command is applied."""
    return str(fact_id("contacts.commands", command.workspace_id, str(command.command_id), "profile"))


def decide(book: ProfileBook, command: ProfileCommand, stamp: WriteStamp, contact: ContactKey | None) -> Result:
    """The result of a command, which is written into the book. `contact` is its target, None if there is none."""
    match command:
        case AttachContact():
            return _attach(book, command, stamp, contact)
        case DetachContact():
            return _detach(book, command, stamp, contact)
        case CreateProfile():
            return _create(book, command, stamp)
        case UpdateProfile() | DeleteProfile() | SetProfileStatus() | SetProfileCompanies():
            return _change(book, command, stamp)
        case AddNote() | EditNote() | DeleteNote():
            return note(book, command, stamp)
        case _:
            return protect(book, command, stamp)


def _change(
    book: ProfileBook,
    command: UpdateProfile | DeleteProfile | SetProfileStatus | SetProfileCompanies,
    stamp: WriteStamp,
) -> Result:
    key = (command.workspace_id, command.profile_id)
    before = book.profile(key)
    if before is None:
        deleted = isinstance(command, DeleteProfile) and key in book.profiles
        return Done() if deleted else NO_PROFILE
    match command:
        case UpdateProfile():
            return _update(book, command, stamp, before)
        case DeleteProfile():
            return _delete(book, command, stamp, before)
        case SetProfileStatus():
            return _set_status(book, command, stamp, before)
        case SetProfileCompanies():
            return _set_companies(book, command, stamp, before)
        case _:
            assert_never(command)


def _create(book: ProfileBook, command: CreateProfile, stamp: WriteStamp) -> Result:
    key = (command.workspace_id, command.profile_id or made_id(command))
    fields: dict[str, FieldValue] = {name: one for name, one in (command.fields or {}).items() if one is not None}
    if not command.name.strip():
        return _NO_NAME
    if key in book.profiles:
        return Refused("invalid", "`profile_id`: expected an id that no profile has or had, or none")
    written = _written({}, fields, stamp)
    if (wrong := _exceeded(written)) is not None:
        return wrong
    name = LastWrite(command.name, stamp)
    book.put(key, Profile(name, command.actor.id, stamp.at, written))
    return Done({"profile_id": key[1]})


def _update(book: ProfileBook, command: UpdateProfile, stamp: WriteStamp, before: Profile) -> Result:
    name = before.name
    if (wanted := command.changes.get("name")) is not None:
        if not isinstance(wanted, str) or not wanted.strip():
            return _NO_NAME
        name = name.write(wanted, stamp)
    given = {key.removeprefix(CUSTOM): one for key, one in command.changes.items() if key != "name"}
    fields = {**before.fields, **_written(before.fields, given, stamp)}
    if (wrong := _exceeded(fields)) is not None:
        return wrong
    book.put((command.workspace_id, command.profile_id), replace(before, name=name, fields=fields))
    nothing: LastWrite[FieldValue] = LastWrite(None)
    changed = [CUSTOM + one for one in fields if fields[one].value != before.fields.get(one, nothing).value]
    changed += ["name"] if name.value != before.name.value else []
    # Which ones, not to what: the audit log outlives the values.
    return Done({"fields": sorted(changed)}) if changed else Done()


def _exceeded(fields: Mapping[str, LastWrite[FieldValue]]) -> Refused | None:
    """The limit that the custom fields of a profile exceed."""
    present = {name: one.value for name, one in fields.items() if one.value is not None}
    if len(present) > limits.FIELDS_PER_PROFILE:
        return _TOO_MANY_FIELDS
    return _TOO_MUCH if custom_fields.too_large(present) else None


def _written(
    fields: Mapping[str, LastWrite[FieldValue]], given: Mapping[str, FieldValue], stamp: WriteStamp
) -> dict[str, LastWrite[FieldValue]]:
    nothing: LastWrite[FieldValue] = LastWrite(None)
    return {name: fields.get(name, nothing).write(value, stamp) for name, value in given.items()}


def _delete(book: ProfileBook, command: DeleteProfile, stamp: WriteStamp, before: Profile) -> Result:
    key = (command.workspace_id, command.profile_id)
    book.put(key, Profile(LastWrite(""), before.created_by, before.created_at, deleted=stamp))
    contacts = book.members(key)
    for contact in contacts:
        # As if the contact had never been attached after the deletion: an attachment to another profile that was
        # issued since then still wins when it arrives late.
        written = book.memberships[contact].written
        book.join(contact, LastWrite(None, stamp if written is None else min(written, stamp)))
    return Done({"profile_id": command.profile_id, "contacts_detached": len(contacts)})


def _set_status(book: ProfileBook, command: SetProfileStatus, stamp: WriteStamp, before: Profile) -> Result:
    key = (command.workspace_id, command.profile_id)
    if command.status is not None and (command.workspace_id, command.status) not in book.statuses:
        return Refused("not_found", "`status`: no status of this name is defined; give `define_status` first")
    after = book.profiles[key] = replace(before, status=before.status.write(command.status, stamp))
    return Done() if after.status.value == before.status.value else Done({"status": after.status.value})


def _set_companies(book: ProfileBook, command: SetProfileCompanies, stamp: WriteStamp, before: Profile) -> Result:
    wanted = sorted(set(command.company_ids))
    known = [(command.workspace_id, company_id) in book.companies for company_id in wanted]
    if not all(known):
        return Refused(
            "not_found",
            f"`company_ids`: {known.count(False)} of {len(known)} are no companies of this workspace; "
            "give `define_company` first",
        )
    since = {company_id: before.companies.value.get(company_id, stamp.at) for company_id in wanted}
    after = replace(before, companies=before.companies.write(since, stamp))
    book.profiles[command.workspace_id, command.profile_id] = after
    same = after.companies.value.keys() == before.companies.value.keys()
    return Done() if same else Done({"company_ids": wanted})


def _attach(book: ProfileBook, command: AttachContact, stamp: WriteStamp, contact: ContactKey | None) -> Result:
    if contact is None:
        return nobody(command)
    found = _existing(book, command)
    if isinstance(found, Refused):
        return found
    before = book.memberships[contact]
    # An older command that loses to a later one creates no profile: no contact would belong to it.
    if not stamp.beats(before.written):
        return Done()
    key = (command.workspace_id, found or made_id(command))
    if found is None:
        name = LastWrite((command.profile_name or "").strip(), stamp)
        book.put(key, Profile(name, command.actor.id, stamp.at))
    elif found != before.value and book.contacts.get(key, 0) >= limits.CONTACTS_PER_PROFILE:
        return _FULL
    book.join(contact, before.write(key[1], stamp))
    if key[1] == before.value:
        return Done()
    return Done({"profile_id": key[1], "profile_created": found is None})


def _existing(book: ProfileBook, command: AttachContact) -> str | Refused | None:
    """The profile that a command names; None if it is to be created."""
    if command.profile_id is not None:
        known = book.profile((command.workspace_id, command.profile_id)) is not None
        return command.profile_id if known else NO_PROFILE
    key = name_key(command.profile_name or "")
    named = book.named.get((command.workspace_id, key), frozenset())
    if len(named) == 1:
        return next(iter(named))
    if not key:
        return Refused("invalid", "`profile_name`: expected a text with at least one visible character")
    if named:
        return Refused("invalid", f"`profile_name`: {len(named)} profiles have this name; name one by `profile_id`")
    if (command.workspace_id, made_id(command)) in book.profiles:
        return Refused("invalid", "`command_id`: a profile has the id that this command would give its new profile")
    return None


def _detach(book: ProfileBook, command: DetachContact, stamp: WriteStamp, contact: ContactKey | None) -> Result:
    if contact is None:
        return nobody(command)
    before = book.memberships[contact]
    after = before.write(None, stamp)
    book.join(contact, after)
    return Done() if after.value == before.value else Done({"profile_id": None})
