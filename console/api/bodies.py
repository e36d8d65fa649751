"""Bodies of calls: their schemas, and the records that are made of them. Both come from the structs of the topics."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import msgspec

from console.parts import Parts
from console.person import Person
from console.reading import foreseeing
from schemas.building import Record, encoded, send_record
from schemas.commands import Command
from schemas.decoding import decode_send
from schemas.json_schemas import structs
from schemas.sends import Confirmation, Requester, SendRequest, SendSource

SET_BY_SERVER: Final = ("actor", "workspace_id", "issued_at")
SET_BY_SERVER_IN_SENDS: Final = ("workspace_id", "requested_at", "requested_by", "source", "confirmation")
_REFERENCE: Final = "#/components/schemas/{name}"
_SOURCE: Final[SendSource] = "api"


def _components() -> tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]:
    """Schemas of commands and sends, and the components that they refer to."""
    (commands, sends), found = msgspec.json.schema_components((Command, SendRequest), ref_template=_REFERENCE)
    for component in found.values():
        properties: dict[str, Any] = component.get("properties", {})
        ids = {"command_id", "send_id"} if {"command", "requested_at"} & properties.keys() else set()
        gone = {*SET_BY_SERVER, *SET_BY_SERVER_IN_SENDS} if ids else set()
        component["properties"] = {name: one for name, one in properties.items() if name not in gone}
        if "required" in component:
            component["required"] = [name for name in component["required"] if name not in gone | ids]
        if "description" in component:
            component["description"] = " ".join(component["description"].split())
    request = found["SendRequest"]
    request["properties"]["confirm"] = {"type": "boolean", "description": "The person has answered the alert already."}
    request["properties"]["channel"]["description"] = "May be left out if the channel is known."
    request["required"].remove("channel")
    for unused in ("Actor", "Requester", "Confirmation"):
        found.pop(unused, None)
    return commands, sends, _plain(found)


def _plain(found: Any) -> Any:
    """Without what only Python's patterns need."""
    match found:
        case {"pattern": str(pattern)}:
            return {**found, "pattern": pattern.removesuffix(r"(?!\n)")}
        case dict():
            return {name: _plain(one) for name, one in found.items()}
        case list():
            return [_plain(one) for one in found]
        case _:
            return found


COMMAND, SEND, COMPONENTS = _components()
COMMANDS: Final[Mapping[str, type[msgspec.Struct]]] = {
    str(kind.cls.__struct_config__.tag): kind.cls for kind in structs(msgspec.inspect.type_info(Command)) if kind.tag
}
"""The struct of each command, by its name."""


async def send_record_of(
    parts: Parts, person: Person, workspace_id: str, send_id: UUID, fields: dict[str, Any]
) -> Record:
    """The record of a send that a person asks for.

    Raises:
        ValueError: a field does not fit; the text says which, and what was expected.
    """
    confirm = fields.pop("confirm", False)
    if not isinstance(confirm, bool):
        raise ValueError("confirm: expected true or false")
    _require_known(fields, SendRequest)
    if fields.get("channel") is None:
        fields["channel"] = await _kind(parts, workspace_id, fields.get("channel_id"))
    now = await parts.asking.now()
    head = {
        "send_id": send_id,
        "workspace_id": workspace_id,
        "requested_at": now,
        "requested_by": Requester(id=person.name, role=person.role),
        "source": _SOURCE,
        "confirmation": Confirmation(confirmed_by=person.name, confirmed_at=now) if confirm else None,
    }
    request = decode_send(encoded(head | fields))
    if not isinstance(request, SendRequest):
        raise ValueError(request.error)
    return send_record(request)


def require_fields_of(command: str, fields: Mapping[str, Any]) -> None:
    """Refuses fields that a command does not have: on a topic they would be ignored.

    Raises:
        ValueError: the text says which.
    """
    struct = COMMANDS.get(command)
    if struct is not None:
        _require_known(fields, struct)


def _require_known(fields: Mapping[str, Any], struct: type[msgspec.Struct]) -> None:
    unknown = sorted(fields.keys() - {field.encode_name for field in msgspec.structs.fields(struct)})
    if unknown:
        raise ValueError(f"{unknown[0]}: there is no such field")


async def _kind(parts: Parts, workspace_id: str, channel_id: object) -> str:
    if isinstance(channel_id, str) and "\0" not in channel_id:
        async with parts.postgres.snapshot() as connection:
            known = await foreseeing.channel_of(connection, workspace_id, channel_id)
        if known is not None:
            return known
    raise ValueError("channel: this channel has no record yet: expected its kind as well, such as whatsapp")
