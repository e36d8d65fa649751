"""Fields of contacts and profiles as parts of a form, and back. The rules of the workers judge what was typed. Pure.

A form carries what each field had when it was shown. Only what somebody changed becomes part of the command: two people
may edit two fields of one contact at once.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from starlette.datastructures import FormData

from console.texts import text
from schemas.changes import CUSTOM
from schemas.fields import FieldValue
from workers.rules import cells, custom_fields, details
from workers.rules.custom_fields import FieldDefinition
from workers.rules.results import Refused

OWN: Final = ("first_name", "last_name", "phone", "email", "language", "country", "assignee")
WAS: Final = "was."
"""Before the name of a field: what it had when the form was shown."""
_LONG: Final = 80
Definitions = Mapping[str, FieldDefinition]


class Field(NamedTuple):
    """A field of a form. `values` are what stands in it, of a list what is chosen; `was` is what it had, for `WAS`."""

    key: str
    label: str
    kind: str
    options: Sequence[str]
    values: Sequence[str]
    was: str
    error: str | None = None

    @property
    def value(self) -> str:
        """What stands in a field that is no list."""
        return self.values[0] if self.values else ""

    @property
    def is_long(self) -> bool:
        """Whether it needs several lines."""
        return self.kind == "text" and ("\n" in self.value or len(self.value) > _LONG)


def fields_of(
    row: Mapping[str, Any], own: Sequence[str], custom: Mapping[str, FieldValue], known: Definitions
) -> list[Field]:
    """The fields of a contact or profile: its own ones, then custom ones."""
    shown = [_field(key, text(f"fields.{key}"), "text", (), row[key]) for key in own]
    return shown + [
        _field(CUSTOM + name, name, one.type, one.options.value, custom.get(name))
        for name, one in sorted(known.items())
    ]


def typed(fields: Sequence[Field], form: FormData, errors: Mapping[str, str]) -> list[Field]:
    """The same fields with what somebody typed, and what is wrong with it."""
    return [
        field._replace(
            values=_typed(form, field.key), was=str(form.get(WAS + field.key, field.was)), error=errors.get(field.key)
        )
        if WAS + field.key in form
        else field
        for field in fields
    ]


def changed(form: FormData, known: Definitions) -> dict[str, FieldValue]:
    """What somebody changed, as `set` has it: null for what was emptied."""
    changes: dict[str, FieldValue] = {}
    for name in form:
        key = name.removeprefix(WAS)
        if name.startswith(WAS) and _packed(_typed(form, key)) != form[name]:
            changes[key] = _value(
                _typed(form, key), known.get(key.removeprefix(CUSTOM)) if key.startswith(CUSTOM) else None
            )
    return changes


def misfits(
    workspace_id: str, scope: str, changes: Mapping[str, FieldValue], known: Definitions, region: str | None
) -> dict[str, str]:
    """What does not fit, in words, by field: as the worker would judge."""
    definitions = {(workspace_id, scope, name): one for name, one in known.items()}
    wrong: dict[str, str] = {}
    for key, value in changes.items():
        if key.startswith(CUSTOM):
            name = key.removeprefix(CUSTOM)
            one = known.get(name)
            if isinstance(custom_fields.fit(definitions, (workspace_id, scope, name), value, key), Refused):
                wrong[key] = text(f"expected.{one.type}") if one else text("expected.unknown")
        elif scope == "contact" and key in OWN:
            if isinstance(details.fitted(workspace_id, {key: value}, {}, region), Refused):
                wrong[key] = text(f"expected.{key}")
        elif key == "name" and not str(value or "").strip():
            wrong[key] = text("expected.name")
    return wrong


def words(value: FieldValue) -> str:
    """A value as people read it."""
    match value:
        case None:
            return ""
        case bool():
            return text("fields.yes" if value else "fields.no")
        case list():
            return ", ".join(value)
        case _:
            return _texts(value)[0]


def _field(key: str, label: str, kind: str, options: Sequence[str], value: FieldValue) -> Field:
    values = _texts(value)
    extra = [one for one in values if kind == "list" and one not in options]  # an option that was taken away since
    return Field(key, label, kind, [*options, *extra], values, _packed(values))


def _texts(value: FieldValue) -> list[str]:
    match value:
        case None:
            return []
        case bool():
            return ["true" if value else "false"]
        case list():
            return value
        case str():
            return [value]
        case _:
            return [msgspec.json.encode(value).decode()]


def _typed(form: FormData, key: str) -> list[str]:
    # A form has CR LF for each end of a line.
    return [str(value).replace("\r\n", "\n") for value in form.getlist(key) if value]


def _packed(values: Sequence[str]) -> str:
    return msgspec.json.encode(values).decode()


def _value(values: list[str], definition: FieldDefinition | None) -> FieldValue:
    if not values:
        return None
    if definition is None:
        return values[0]
    if definition.type == "list":
        return values
    return cells.typed_value(definition.type, values[0])
