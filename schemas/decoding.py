"""Bytes of a topic to values. A `decode_*` never raises: what cannot be understood is a `BadRecord` saying why.

Errors name what was expected and where, never what was found: they travel as headers and operators see them.
"""

from datetime import datetime
from typing import Any, Final, TypeVar, get_args
from uuid import UUID

import msgspec
from msgspec import Struct

from schemas.actors import Actor
from schemas.commands import Command, InvalidCommand
from schemas.fields import Channel, ChannelId, Moment, WorkspaceId, in_utc
from schemas.framing import framing_error
from schemas.inbound import InboundMessage
from schemas.receipts import DeliveryReceipt
from schemas.sends import SendRequest
from schemas.wording import explain
from schemas.workflow_events import WorkflowEvent

T = TypeVar("T")

COMMAND_NAMES: Final[frozenset[str]] = frozenset(command.__struct_config__.tag for command in get_args(Command))

_TARGETS: Final = (
    "contact_id",
    "identity",
    "contact_ids",
    "survivor_id",
    "loser_id",
    "merge_id",
    "profile_id",
    "profile_name",
    "company_id",
    "send_id",
    "group_id",
    "channel_id",
)
_LONGEST_TARGET: Final = 512

_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError)

_INBOUND = msgspec.json.Decoder(InboundMessage)
_SEND = msgspec.json.Decoder(SendRequest)
_RECEIPT = msgspec.json.Decoder(DeliveryReceipt)
_WORKFLOW_EVENT: msgspec.json.Decoder[WorkflowEvent] = msgspec.json.Decoder(WorkflowEvent)
_COMMAND: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)


class BadRecord(Struct, frozen=True, gc=False):
    """A record that cannot be understood: a dead letter. `error` holds nothing of its content."""

    error: str


def decode_inbound(raw: bytes | None) -> InboundMessage | BadRecord:
    return _decode(raw, _INBOUND)


def decode_send(raw: bytes | None) -> SendRequest | BadRecord:
    return _decode(raw, _SEND)


def decode_receipt(raw: bytes | None) -> DeliveryReceipt | BadRecord:
    return _decode(raw, _RECEIPT)


def decode_workflow_event(raw: bytes | None) -> WorkflowEvent | BadRecord:
    return _decode(raw, _WORKFLOW_EVENT)


def decode_command(raw: bytes | None) -> Command | InvalidCommand | BadRecord:
    """An `InvalidCommand` when at least workspace, id, actor and a known name can be read."""
    decoded = _decode(raw, _COMMAND)
    if isinstance(decoded, BadRecord) and raw is not None and framing_error(raw) is None:
        return _readable_head(raw, decoded)
    return decoded


def _decode(raw: bytes | None, decoder: msgspec.json.Decoder[T]) -> T | BadRecord:
    error = framing_error(raw)
    if error is not None or raw is None:
        return BadRecord(error or "null value")
    try:
        return decoder.decode(raw)
    except _UNREADABLE as unreadable:
        return BadRecord(explain(unreadable))


class _Head(Struct, frozen=True, kw_only=True, gc=False):
    command_id: UUID
    workspace_id: WorkspaceId
    command: str
    actor: Actor


class _Place(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """An identity without its address."""

    channel: Channel | None = None
    channel_id: ChannelId | None = None


_HEAD = msgspec.json.Decoder(_Head)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ISSUED_AT = msgspec.json.Decoder(Moment)
# The log outlives deletion, so it shows no address: not an identity's, nor one that stands where an id belongs.
_SHOWN: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    "identity": msgspec.json.Decoder(_Place),
    "contact_ids": msgspec.json.Decoder(list[UUID]),
    **{name: msgspec.json.Decoder(UUID) for name in ("contact_id", "survivor_id", "loser_id", "merge_id", "send_id")},
}
_NAME: Final = msgspec.json.Decoder(str | int)


def _readable_head(raw: bytes, bad: BadRecord) -> InvalidCommand | BadRecord:
    try:
        head = _HEAD.decode(raw)
        fields = _FIELDS.decode(raw)
    except _UNREADABLE:
        return bad
    if head.command not in COMMAND_NAMES:
        return bad
    return InvalidCommand(
        command_id=head.command_id,
        workspace_id=head.workspace_id,
        command=head.command,
        actor=head.actor,
        issued_at=_issued_at(fields.get("issued_at")),
        error=bad.error,
        target=_target(fields),
    )


def _issued_at(given: msgspec.Raw | None) -> datetime | None:
    if given is None:
        return None
    try:
        return in_utc(_ISSUED_AT.decode(given))
    except _UNREADABLE:
        return None


def _target(fields: dict[str, msgspec.Raw]) -> str | None:
    named = {name: shown for name in _TARGETS if name in fields and (shown := _shown(name, fields[name])) is not None}
    return msgspec.json.encode(named).decode()[:_LONGEST_TARGET] if named else None


def _shown(name: str, given: msgspec.Raw) -> Any:
    try:
        return _SHOWN.get(name, _NAME).decode(given)
    except _UNREADABLE:
        return None
