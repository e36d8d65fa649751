"""What commands write into contacts and profiles, checked before any is looked for: one that does not fit makes none.

Definitions of custom fields are made on the way, in the order of the records: the next command knows them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from msgspec import structs

from schemas import limits
from schemas.changes import CUSTOM
from schemas.contact_commands import AddTag, AssignConversation, CreateContact, RemoveTag, UpdateContact
from schemas.fields import FieldValue
from schemas.profile_commands import CreateProfile, UpdateProfile
from schemas.settings_commands import DefineField
from workers.commands.command_record import CommandRecord
from workers.process.tasks import paced
from workers.rules import custom_fields, details, tags
from workers.rules.custom_fields import FieldDefinition, FieldKey, define
from workers.rules.results import Refused, Result
from workers.store import details as stored_details
from workers.store import tags as stored_tags
from workers.store.commands import CommandKey
from workers.store.connection import Connection
from workers.store.tags import TagName
from workers.store.workspaces import Workspace

Definitions = Mapping[FieldKey, FieldDefinition]


@dataclass(frozen=True, slots=True)
class Writing:
    """What a command writes, in stored form. `tags` are added, those of `remove_tag` removed."""

    values: Mapping[str, FieldValue] = field(default_factory=dict)
    tags: Sequence[str] = ()


@dataclass(slots=True)
class Fitted:
    """The results of definitions and of commands that do not fit, and what the others write. `profiles` are commands
    on profiles, with the values of custom fields in stored form.
    """

    results: dict[CommandKey, Result] = field(default_factory=dict)
    writings: dict[CommandKey, Writing] = field(default_factory=dict)
    profiles: dict[CommandKey, CommandRecord[Any]] = field(default_factory=dict)
    new_tags: set[TagName] = field(default_factory=set)


async def fit(tx: Connection, asked: Sequence[CommandRecord[Any]], tenants: Mapping[str, Workspace]) -> Fitted:
    """Checks commands of `refusals.WRITING`, and carries out the definitions among them."""
    defining = {a.command.workspace_id for a in asked if isinstance(a.command, DefineField)}
    numbers: Counter[tuple[str, str]] = Counter()
    if defining:
        await stored_details.lock_definitions(tx, defining)
        numbers = await stored_details.count_definitions(tx, defining)
    known = await stored_details.definitions(tx, set(_fields(asked)))
    defined: dict[FieldKey, FieldDefinition] = {}
    fitted = Fitted()
    async for a in paced(asked):
        if isinstance(a.command, DefineField):
            key = (a.command.workspace_id, a.command.scope, a.command.name)
            fitted.results[a.key], made = define(known, numbers[key[:2]], a.command, a.stamp)
            if made is not None:
                numbers[key[:2]] += key not in known
                known[key] = defined[key] = made
            continue
        match _fit(a, known, tenants[a.command.workspace_id].policies.default_region):
            case Writing() as writing:
                fitted.writings[a.key] = writing
            case CommandRecord() as profile:
                fitted.profiles[a.key] = profile
            case Refused() as refused:
                fitted.results[a.key] = refused
    await stored_details.save_definitions(tx, defined)
    await _find_new_tags(tx, asked, fitted)
    return fitted


def _fields(asked: Iterable[CommandRecord[Any]]) -> Iterable[FieldKey]:
    for a in asked:
        command = a.command
        match command:
            case DefineField():
                yield command.workspace_id, command.scope, command.name
            case UpdateContact() | CreateContact():
                for key in command.set or ():
                    if key.startswith(CUSTOM):
                        yield command.workspace_id, "contact", key.removeprefix(CUSTOM)
            case CreateProfile() | UpdateProfile():
                for key in _profile_values(command):
                    yield command.workspace_id, "profile", key.removeprefix(CUSTOM)
            case _:
                pass


def _fit(a: CommandRecord[Any], known: Definitions, region: str | None) -> Writing | CommandRecord[Any] | Refused:
    command = a.command
    match command:
        case AddTag() | RemoveTag():
            tag = tags.named(command.tag)
            return tag if isinstance(tag, Refused) else Writing(tags=(tag,))
        case CreateContact():
            return _fit_new(a, known, region)
        case CreateProfile() | UpdateProfile():
            return _fit_profile(a, known)
        case AssignConversation():
            values = details.fitted(command.workspace_id, {details.ASSIGNEE: command.assignee}, known, region)
        case _:
            values = details.fitted(command.workspace_id, command.set, known, region)
    return values if isinstance(values, Refused) else Writing(values)


def _fit_new(a: CommandRecord[CreateContact], known: Definitions, region: str | None) -> Writing | Refused:
    values = details.fitted(a.command.workspace_id, a.command.set or {}, known, region)
    if isinstance(values, Refused):
        return values
    result, _ = details.write(details.NOTHING, values, a.stamp)
    if isinstance(result, Refused):
        return result
    named = [tags.named(tag) for tag in a.command.tags or ()]
    wrong = next((tag for tag in named if isinstance(tag, Refused)), None)
    distinct = list(dict.fromkeys(tag for tag in named if isinstance(tag, str)))
    if wrong is None and len(distinct) > limits.TAGS_PER_CONTACT:
        wrong = tags.TOO_MANY
    return wrong or Writing(values, distinct)


def _profile_values(command: CreateProfile | UpdateProfile) -> dict[str, FieldValue]:
    """The custom fields that a command on a profile writes, as `custom.NAME`."""
    if isinstance(command, CreateProfile):
        return {CUSTOM + name: value for name, value in (command.fields or {}).items()}
    return {key: value for key, value in command.changes.items() if key.startswith(CUSTOM)}


def _fit_profile(
    a: CommandRecord[CreateProfile | UpdateProfile], known: Definitions
) -> CommandRecord[CreateProfile | UpdateProfile] | Refused:
    command = a.command
    values: dict[str, FieldValue] = {}
    for key, value in _profile_values(command).items():
        name = key.removeprefix(CUSTOM)
        path = f"fields.{name}" if isinstance(command, CreateProfile) else f"set.{key}"
        kept = custom_fields.fit(known, (command.workspace_id, "profile", name), value, path)
        if isinstance(kept, Refused):
            return kept
        values[key] = kept
    stored: CreateProfile | UpdateProfile
    if isinstance(command, CreateProfile):
        stored = structs.replace(command, fields=values or None)
    else:
        stored = structs.replace(command, set={**command.changes, **values})
    return replace(a, record=structs.replace(a.record, value=stored))


async def _find_new_tags(tx: Connection, asked: Sequence[CommandRecord[Any]], fitted: Fitted) -> None:
    """Refuses commands that would make more tags than a workspace has."""
    adding = {
        a.key: [(a.command.workspace_id, tag) for tag in fitted.writings[a.key].tags]
        for a in asked
        if isinstance(a.command, AddTag | CreateContact) and a.key in fitted.writings
    }
    wanted = {name for names in adding.values() for name in names}
    unknown = wanted - await stored_tags.known(tx, wanted)
    if not unknown:
        return
    numbers = await stored_tags.lock_names(tx, {workspace_id for workspace_id, _ in unknown})
    unknown -= await stored_tags.known(tx, unknown)
    for key, names in adding.items():
        new = (unknown & set(names)) - fitted.new_tags
        if numbers[key[0]] + len(new) > limits.TAGS_PER_WORKSPACE:
            fitted.results[key] = tags.TOO_MANY_NAMES
            del fitted.writings[key]
            continue
        numbers[key[0]] += len(new)
        fitted.new_tags |= new
