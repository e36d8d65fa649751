"""Rules between fields as JSON Schema; `published` makes the rest from the types.

The records' `__post_init__` has the rules themselves; a generated test compares both. JSON Schema cannot express that
`from` is before `to`, how large `extra` is, and that an offset may move a year out of range. Names of time zones and
regions belong to data that is updated: they are not listed.
"""

import re
from typing import Any, Final

from msgspec import Struct

from schemas import actors, changes, contact_commands, fields, profile_commands, receipts, sends, settings_commands
from schemas.workflow_events import RunStarted

Schema = dict[str, Any]

_NAME_OF_FIELD: Final = rf"[\s\S]{{1,{changes.LONGEST_NAME}}}"
_CUSTOM: Final = rf"^{re.escape(changes.CUSTOM)}{_NAME_OF_FIELD}$"
_PLAIN_OR_CUSTOM: Final[Schema] = {
    "propertyNames": {
        "pattern": rf"^({re.escape(changes.CUSTOM)})?{_NAME_OF_FIELD}$",
        "not": {"const": changes.CUSTOM},
    }
}
_FIELD_VALUE: Final[Schema] = {
    "not": {"type": "object"}
}  # everything else that `set` refuses is refused by its own type


def _given(name: str) -> Schema:
    return {"required": [name], "properties": {name: {"not": {"type": "null"}}}}


def _absent(name: str) -> Schema:
    return {"properties": {name: {"type": "null"}}}


def _exactly_one(*names: str) -> Schema:
    return {"oneOf": [_given(name) for name in names]}


def _at_least_one(*names: str) -> Schema:
    return {"anyOf": [_given(name) for name in names]}


def _in(name: str, schema: Schema) -> Schema:
    return {"properties": {name: schema}}


def _has_a_name_like(pattern: str) -> Schema:
    return {"not": {"propertyNames": {"not": {"pattern": pattern}}}}


_SOMETHING_TO_SEND: Final[Schema] = {
    "anyOf": [
        *(
            {"required": [name], **_in(name, {"type": "string", "minLength": 1})}
            for name in ("text", "subject", "html")
        ),
        {"required": ["attachments"], **_in("attachments", {"type": "array", "minItems": 1})},
        _given("template"),
    ]
}
_CONTACT_FIELDS: Final[Schema] = {
    "properties": {
        name: {"type": ["string", "null"], "maxLength": changes.LONGEST_BUILT_IN}
        for name in sorted(changes.CONTACT_FIELDS)
    },
    "propertyNames": {"anyOf": [{"enum": sorted(changes.CONTACT_FIELDS)}, {"pattern": _CUSTOM}]},
}
_PROFILE_CHANGES: Final[Schema] = {
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": changes.LONGEST_BUILT_IN},
        "fields": {"type": "object", **_PLAIN_OR_CUSTOM},
    },
    "patternProperties": {_CUSTOM: _FIELD_VALUE},
    "propertyNames": {"anyOf": [{"enum": ["fields", "name"]}, {"pattern": _CUSTOM}]},
    "anyOf": [
        {"required": ["name"]},
        _has_a_name_like(_CUSTOM),
        {"required": ["fields"], **_in("fields", {"type": "object", "minProperties": 1})},
    ],
}

RULES: Final[dict[type[Struct], Schema]] = {
    actors.Identity: {
        "if": _in("channel", {"enum": sorted(fields.CHANNEL_SCOPED)}),
        "then": _given("channel_id"),
    },
    actors.TargetCommand: _exactly_one("contact_id", "identity"),
    changes.WorkspaceSettings: {"anyOf": [{"required": [n]} for n in changes.WorkspaceSettings.__struct_fields__]},
    contact_commands.ReleaseDropped: {
        "anyOf": [
            {"allOf": [_given("message_ids"), _absent("from"), _absent("to")]},
            {"allOf": [_absent("message_ids"), _given("from"), _given("to")]},
        ]
    },
    contact_commands.CreateContact: _in("set", _CONTACT_FIELDS),
    contact_commands.UpdateContact: _in("set", {**_CONTACT_FIELDS, "minProperties": 1}),
    contact_commands.DeleteContacts: _exactly_one("contact_ids", "all"),
    profile_commands.CreateProfile: _in("fields", _PLAIN_OR_CUSTOM),
    profile_commands.UpdateProfile: _in("set", _PROFILE_CHANGES),
    profile_commands.AttachContact: _exactly_one("profile_id", "profile_name"),
    settings_commands.ConfirmSend: _exactly_one("send_id", "group_id"),
    settings_commands.RejectSend: _exactly_one("send_id", "group_id"),
    receipts.DeliveryReceipt: _at_least_one("send_id", "provider_message_id"),
    sends.Recipient: _exactly_one("contact_id", "address"),
    sends.SendRequest: _in("content", _SOMETHING_TO_SEND),
    RunStarted: _exactly_one("contact_id", "identity"),
}


def rules_of(kind: type) -> list[Schema]:
    """The rules between fields of records of this type, base classes first."""
    return [RULES[base] for base in reversed(kind.__mro__) if base in RULES]
