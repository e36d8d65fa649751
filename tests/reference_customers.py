"""Part of the reference model: profiles, who belongs to them, and what protects them.

Goes through the commands in the order of their times: where that is not the order of arrival, nothing depends on it.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from tests.facts import Command
from tests.reference_times import stamp

NAMED = "named"
"""The only profile that contacts are attached to by its name."""


class Profile(NamedTuple):
    name: str
    status: str | None
    companies: list[str]
    protected: bool
    reasons: list[str]
    fields: dict[str, Any]
    notes: dict[str, str]


def profiles(commands: Sequence[Command]) -> dict[str, Profile]:
    made = {c.fields["profile_id"]: c for c in commands if c.command == "create_profile"}
    deleted = {c.fields["profile_id"] for c in commands if c.command == "delete_profile"}
    return {id_: _profile(id_, made[id_], commands) for id_ in sorted(made.keys() - deleted)}


def memberships(commands: Sequence[Command]) -> dict[str, str]:
    """The profile of each person who has one."""
    found: dict[str, str] = {}
    deleted: set[str] = set()
    for command in _in_time(commands, "attach_contact", "detach_contact", "delete_profile"):
        if command.command == "delete_profile":
            deleted.add(command.fields["profile_id"])
            found = {person: profile for person, profile in found.items() if profile not in deleted}
        elif command.command == "detach_contact":
            found.pop(str(command.person), None)
        elif (profile := command.fields.get("profile_id", NAMED)) not in deleted:
            found[str(command.person)] = profile
    return found


def options(commands: Sequence[Command]) -> dict[str, list[str]]:
    """The options of each contact field of type list."""
    return {
        c.fields["name"]: c.fields["options"] for c in _in_time(commands, "define_field") if c.fields["type"] == "list"
    }


def _profile(id_: str, made: Command, commands: Sequence[Command]) -> Profile:
    own = [c for c in _in_time(commands) if c.fields.get("profile_id") == id_]
    values: dict[str, Any] = {"name": made.fields["name"]}
    for command in own:
        if command.command == "update_profile":
            values |= command.fields["set"]
    statuses = [c.fields["status"] for c in own if c.command == "set_profile_status"]
    lists = [c.fields["company_ids"] for c in own if c.command == "set_profile_companies"]
    status, companies = (statuses or [None])[-1], sorted((lists or [[]])[-1])
    guarded = _protections(commands)
    codes = [("status_protected", ("status", status) in guarded)]
    codes += [("company_protected", any(("company", company) in guarded for company in companies))]
    reasons = [code for code, holds in codes if holds]
    custom = {name.removeprefix("custom."): v for name, v in values.items() if name != "name" and v is not None}
    return Profile(values["name"], status, companies, bool(reasons), reasons, custom, _notes(own))


def _protections(commands: Sequence[Command]) -> set[tuple[str, str | None]]:
    last: dict[tuple[str, str | None], bool] = {}
    for command in _in_time(commands, "define_status", "protect_company", "unprotect_company"):
        if command.command == "define_status":
            last["status", command.fields["name"]] = command.fields["protected"]
        else:
            last["company", command.fields["company_id"]] = command.command == "protect_company"
    return {what for what, on in last.items() if on}


def _notes(own: Sequence[Command]) -> dict[str, str]:
    added = {c.fields["note_id"]: c for c in own if c.command == "add_note"}
    deleted = {c.fields["note_id"] for c in own if c.command == "delete_note"}
    texts = {note_id: c.fields["text"] for note_id, c in added.items() if note_id not in deleted}
    for command in own:
        note_id = command.fields.get("note_id")
        if command.command == "edit_note" and note_id in texts and stamp(command) > stamp(added[note_id]):
            texts[note_id] = command.fields["text"]
    return texts


def _in_time(commands: Iterable[Command], *names: str) -> list[Command]:
    return sorted((c for c in commands if not names or c.command in names), key=stamp)
