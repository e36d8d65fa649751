"""Custom fields: their definitions, and which values fit them (contract 2, define_field).

Whoever defines a field again may change its options, the later command wins. Its type stays: values are stored under
it. A value stays also if its option is taken away.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Final, NamedTuple

import msgspec

from schemas import limits
from schemas.fields import FieldValue
from schemas.settings_commands import DefineField, FieldType
from schemas.shapes import shape
from workers.rules import mail
from workers.rules.last_write_wins import LastWrite, WriteStamp
from workers.rules.results import Done, Refused, Result

FieldKey = tuple[str, str, str]
"""(workspace_id, scope, name)."""

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME: Final = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9])?")
_URL: Final = re.compile(r"https?://[^\s/?#]+[^\s]*", re.IGNORECASE)

_EXPECTED: Final[Mapping[FieldType, str]] = {
    "text": f"a text of at most {limits.CUSTOM_TEXT:,} characters",
    "number": f"a number between -{limits.MAX_COUNT:,} and {limits.MAX_COUNT:,}",
    "checkbox": "true or false",
    "date": "a date such as 2026-03-01",
    "time": "a time of day such as 09:30 or 09:30:15",
    "url": f"a URL with `http://` or `https://`, of at most {limits.CUSTOM_URL:,} characters",
    "email": "one bare e-mail address",
    "list": "one of the field's options, or a list of different ones",
}


class Misfit(NamedTuple):
    """A value that does not fit, and in words what does."""

    expected: str


@dataclass(frozen=True, slots=True)
class FieldDefinition:
    """`options` are empty for all types but `list`."""

    type: FieldType
    options: LastWrite[tuple[str, ...]]


def refused(field: str, expected: str, value: object) -> Refused:
    """The refusal of a value: which field, what fits, and the shape of what came."""
    return Refused("invalid", f"`{field}`: expected {expected}, or null; got {shape(value)}")


def fitted(definition: FieldDefinition, value: FieldValue) -> FieldValue | Misfit:
    """The value as it is stored, or what would fit. Null fits every field."""
    if value is None:
        return None
    kept = _fitted(definition, value)
    return Misfit(_EXPECTED[definition.type]) if kept is None else kept


def fit(known: Mapping[FieldKey, FieldDefinition], key: FieldKey, value: FieldValue, path: str) -> FieldValue | Refused:
    """The value of a field as it is stored, or why its command is refused. `path` is where the command has it."""
    definition = known.get(key)
    if definition is None:
        shown = f"`{path}`" if path.isprintable() else f"`{path.partition('.')[0]}`"
        return Refused("invalid", f"{shown}: no such field is defined for {key[1]}s; give `define_field`")
    kept = fitted(definition, value)
    return refused(path, kept.expected, value) if isinstance(kept, Misfit) else kept


def too_large(values: Mapping[str, FieldValue]) -> bool:
    """Whether the custom fields of one contact or profile exceed their limit of bytes, as JSON."""
    return len(msgspec.json.encode(values)) > limits.CUSTOM_BYTES


def define(
    known: Mapping[FieldKey, FieldDefinition], fields_of_scope: int, command: DefineField, stamp: WriteStamp
) -> tuple[Result, FieldDefinition | None]:
    """The result of the command, and the definition to store; None: none. `fields_of_scope`: how many there are."""
    if (wrong := _wrong(command)) is not None:
        return Refused("invalid", wrong), None
    before = known.get((command.workspace_id, command.scope, command.name))
    options = command.options or ()
    if before is None:
        if fields_of_scope >= limits.FIELDS_PER_SCOPE:
            detail = f"`name`: a workspace has at most {limits.FIELDS_PER_SCOPE} custom fields of one scope"
            return Refused("invalid", detail), None
        changed = {"scope": command.scope, "name": command.name, "type": command.type}
        return Done(changed), FieldDefinition(command.type, LastWrite(options, stamp))
    if before.type != command.type:
        return Refused("invalid", f"`type`: a field keeps its type, and it is `{before.type}`"), None
    after = replace(before, options=before.options.write(options, stamp))
    same = after.options.value == before.options.value
    return Done() if same else Done({"options": list(after.options.value)}), after


def _wrong(command: DefineField) -> str | None:
    options = command.options
    if command.name != command.name.strip() or not command.name.isprintable():
        return "`name`: expected visible characters, without spaces at its ends"
    if command.type != "list":
        return None if options is None else f"`options`: only a field of type `list` has them, not `{command.type}`"
    if options is None or not 1 <= len(options) <= limits.OPTIONS_PER_FIELD:
        came = "nothing" if options is None else shape(list(options))
        return f"`options`: expected 1 to {limits.OPTIONS_PER_FIELD} texts; got {came}"
    if len(set(options)) < len(options) or not all(option.strip() for option in options):
        return "`options`: expected different texts with visible characters"
    return None


def _is_fitting_text(kind: FieldType, text: str) -> bool:
    match kind:
        case "text":
            return len(text) <= limits.CUSTOM_TEXT
        case "date":
            return _DATE.fullmatch(text) is not None and _is_date(text)
        case "time":
            return _TIME.fullmatch(text) is not None
        case "url":
            return len(text) <= limits.CUSTOM_URL and _URL.fullmatch(text) is not None
        case _:
            return False


def _fitted(definition: FieldDefinition, value: FieldValue) -> FieldValue:
    """None if it does not fit."""
    kind = definition.type
    if isinstance(value, bool):
        return value if kind == "checkbox" else None
    if isinstance(value, (int, float)):
        # A NaN is not within the bounds either.
        return _number(value) if kind == "number" and abs(value) <= limits.MAX_COUNT else None
    if kind == "list":
        chosen = [value] if isinstance(value, str) else value or []
        return value if len(set(chosen)) == len(chosen) and set(chosen) <= set(definition.options.value) else None
    if kind == "email" and isinstance(value, str):
        address = mail.parse_address(value)
        return None if address is None else address.spelling
    return value if isinstance(value, str) and _is_fitting_text(kind, value) else None


def _number(value: float) -> float:
    whole = int(value)
    return whole if whole == value else value


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
