"""Calls that tell what would become of a send or a command."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid4

import msgspec
from pydantic import ConfigDict, model_validator

from console.api import bodies
from console.api.calls import Asked, Call, Query, Typed
from console.api.documents import Impact, MaySend
from console.reading import foreseeing
from schemas.building import CommandHead, command_record

_IN: Final = "/workspaces/{workspace}"
_NO_KEY: Final = "it is not known whether a deleted contact had this address and was blocked or had opted out"
_FLAGS: Final = {"true": True, "false": False}
# What some commands need, and what changes nothing here.
_PLACEHOLDERS: Final = {"expected_count": 1}


class MaySendQuery(Query):
    """Exactly one of `contact_id` and `address`. `channel`: its id, or a kind such as `whatsapp`."""

    contact_id: UUID | None = None
    address: Typed | None = None
    channel: Typed

    @model_validator(mode="after")
    def _one(self) -> "MaySendQuery":
        if (self.contact_id is None) == (self.address is None):
            raise ValueError("expected exactly one of `contact_id` and `address`")
        return self


class ImpactQuery(Query):
    """`command` and its fields: `contact_id=…`, `identity.channel=…`, `contact_ids=…` once for each."""

    model_config = ConfigDict(extra="allow")

    command: Typed


async def may_send(asked: Asked, connection: Any) -> Mapping[str, Any]:
    """`GET …/may-send`."""
    query: MaySendQuery = asked.query
    keys = asked.parts.hash_keys
    to = query.contact_id or query.address or ""
    answer = await foreseeing.may_send(connection, keys, asked.workspace, to, query.channel)
    return {**answer, "not_known": None if keys.known else _NO_KEY}


async def impact(asked: Asked, connection: Any) -> Mapping[str, int]:
    """`GET …/impact`."""
    query: ImpactQuery = asked.query
    fields = _fields(query.command, query.model_extra or {})
    head = CommandHead(uuid4(), asked.workspace, query.command, asked.person.actor("api"), datetime.now(UTC))
    return await foreseeing.impact(connection, asked.workspace, command_record(head, fields).value)


def _fields(command: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a command from the parameters of an address, which are text."""
    struct = bodies.COMMANDS.get(command)
    if struct is None:
        raise ValueError("command: there is no such command")
    fields: dict[str, Any] = {}
    for name, value in given.items():
        first, dot, rest = name.partition(".")
        if not dot:
            fields[first] = value
        elif isinstance(fields.setdefault(first, {}), dict):
            fields[first][rest] = value
        else:
            raise ValueError(f"{first}: expected a value, or its fields")
    bodies.require_fields_of(command, fields)
    types = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    for name, placed in _PLACEHOLDERS.items():
        if name in types:
            fields.setdefault(name, placed)
    return {name: _typed(name, value, types[name].type) for name, value in fields.items()}


def _typed(name: str, value: Any, kind: Any) -> Any:
    """A value of the type that the field has, as JSON has it: of one value a list as well."""
    refused = ""
    for candidate in (value, _FLAGS.get(str(value), value), [value]):
        try:
            return msgspec.to_builtins(msgspec.convert(candidate, kind, strict=False))
        except (msgspec.ValidationError, ValueError) as error:
            refused = refused or str(error)
    raise ValueError(f"{name}: {refused}")


CALLS: Final = (
    Call(
        "GET",
        f"{_IN}/may-send",
        "Whether a contact or an address may be written to now, by the same rules as requests and claims.",
        {200: MaySend},
        read=may_send,
        query=MaySendQuery,
    ),
    Call(
        "GET",
        f"{_IN}/impact",
        "What a command that blocks, protects, merges or deletes would touch; zeros for all others.",
        {200: Impact},
        read=impact,
        query=ImpactQuery,
    ),
)
