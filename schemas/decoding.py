"""Decodes bytes of a topic to values. A `decode_*` never raises: it returns poison records as `BadRecord`.

Errors name what was expected and where, never what was found: they travel as headers and operators see them.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, Generic, TypeVar, get_args
from uuid import UUID

import msgspec
from msgspec import Struct

from schemas.actors import Actor
from schemas.commands import Command, InvalidCommand
from schemas.fields import Channel, ChannelId, Id, Moment, WorkspaceId, in_utc
from schemas.framing import NO_VALUE, framing_error
from schemas.inbound import InboundMessage
from schemas.mending import may_be_mended, mender
from schemas.receipts import DeliveryReceipt
from schemas.sends import InvalidSend, SendRequest
from schemas.shapes import with_shape
from schemas.wording import explain_refusal
from schemas.workflow_events import WorkflowEvent

T = TypeVar("T")
R = TypeVar("R")

COMMAND_NAMES: Final[frozenset[str]] = frozenset(command.__struct_config__.tag for command in get_args(Command))

_TARGETS: Final = (
    "contact_id",
    "identity",
    "contact_ids",
    "survivor_id",
    "loser_id",
    "merge_id",
    "profile_id",
    "company_id",
    "send_id",
    "group_id",
    "channel_id",
)
_LONGEST_TARGET: Final = 512

_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError)


class BadRecord(Struct, frozen=True, gc=False):
    """A poison record: it becomes a dead letter. `error` has nothing of its content."""

    error: str


def decode_inbound(raw: bytes | None) -> InboundMessage | BadRecord:
    return _decode(raw, _INBOUND)


def decode_send(raw: bytes | None) -> SendRequest | InvalidSend | BadRecord:
    """Returns an `InvalidSend` if only some fields, workspace and id among them, can be read."""
    return _decode(raw, _SEND, _readable_ids)


def decode_receipt(raw: bytes | None) -> DeliveryReceipt | BadRecord:
    return _decode(raw, _RECEIPT)


def decode_workflow_event(raw: bytes | None) -> WorkflowEvent | BadRecord:
    return _decode(raw, _WORKFLOW_EVENT)


def decode_command(raw: bytes | None) -> Command | InvalidCommand | BadRecord:
    """Returns an `InvalidCommand` if only some fields, workspace, id, actor and a known name among them, can be
    read.
    """
    return _decode(raw, _COMMAND, _readable_head)


class _Reader(Generic[T]):
    """Reads values of one type: strictly, then leniently if a number or a time was refused."""

    def __init__(self, kind: Any) -> None:
        self._decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(kind)
        self._mend = mender(kind)
        self.read = self._decoder.decode

    def read_again(self, raw: bytes, refused: Exception) -> T | BadRecord:
        if not isinstance(refused, msgspec.ValidationError) or not may_be_mended(refused):
            return BadRecord(explain_refusal(refused))
        try:
            return self._decoder.decode(self._mend(raw))
        except _UNREADABLE as still_refused:
            return BadRecord(explain_refusal(still_refused))


_INBOUND = _Reader[InboundMessage](InboundMessage)
_SEND = _Reader[SendRequest](SendRequest)
_RECEIPT = _Reader[DeliveryReceipt](DeliveryReceipt)
_WORKFLOW_EVENT = _Reader[WorkflowEvent](WorkflowEvent)
_COMMAND = _Reader[Command](Command)


def _as_it_is(_raw: bytes, bad: BadRecord) -> BadRecord:
    return bad


def _decode(
    raw: bytes | None, reader: _Reader[T], rescued: Callable[[bytes, BadRecord], R | BadRecord] = _as_it_is
) -> T | R | BadRecord:
    """`rescued` makes another value of a JSON object that is no `T`."""
    error = framing_error(raw)
    if error is not None or raw is None:
        return BadRecord(error or NO_VALUE)
    try:
        return reader.read(raw)
    except _UNREADABLE as refused:
        again = reader.read_again(raw, refused)
        return rescued(raw, again) if isinstance(again, BadRecord) else again


class _Head(Struct, frozen=True, kw_only=True, gc=False):
    command_id: UUID
    workspace_id: WorkspaceId
    command: str
    actor: Actor


class _Ids(Struct, frozen=True, kw_only=True, gc=False):
    send_id: UUID
    workspace_id: WorkspaceId


class _Place(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """An identity without its address."""

    channel: Channel | None = None
    channel_id: ChannelId | None = None


_IDS = msgspec.json.Decoder(_Ids)
_CHANNEL: Final[msgspec.json.Decoder[Channel]] = msgspec.json.Decoder(Channel)
_GROUP: Final[msgspec.json.Decoder[str]] = msgspec.json.Decoder(Id)
_HEAD = msgspec.json.Decoder(_Head)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ISSUED_AT = _Reader[datetime](Moment)
# The log outlives deletion, so it shows no address: neither an identity's nor one in place of an id.
_SHOWN: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    "identity": msgspec.json.Decoder(_Place),
    "contact_ids": msgspec.json.Decoder(list[UUID]),
    **{name: msgspec.json.Decoder(UUID) for name in ("contact_id", "survivor_id", "loser_id", "merge_id", "send_id")},
}
_NAME: Final = msgspec.json.Decoder(str | int)


def _readable_ids(raw: bytes, bad: BadRecord) -> InvalidSend | BadRecord:
    try:
        ids = _IDS.decode(raw)
        fields = _FIELDS.decode(raw)
    except _UNREADABLE:
        return bad
    return InvalidSend(
        send_id=ids.send_id,
        workspace_id=ids.workspace_id,
        channel=_read(_CHANNEL, fields.get("channel")),
        group_id=_read(_GROUP, fields.get("group_id")),
        error=with_shape(bad.error, raw),
    )


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
        error=with_shape(bad.error, raw),
        target=_target(fields),
    )


def _issued_at(given: msgspec.Raw | None) -> datetime | None:
    issued_at = _decode(None if given is None else bytes(given), _ISSUED_AT)
    try:
        return None if isinstance(issued_at, BadRecord) else in_utc(issued_at)
    except ValueError:
        return None


def _target(fields: dict[str, msgspec.Raw]) -> str | None:
    named = {name: shown for name in _TARGETS if name in fields and (shown := _shown(name, fields[name])) is not None}
    return msgspec.json.encode(named).decode()[:_LONGEST_TARGET] if named else None


def _shown(name: str, given: msgspec.Raw) -> Any:
    return _read(_SHOWN.get(name, _NAME), given)


def _read(decoder: msgspec.json.Decoder[T], given: msgspec.Raw | None) -> T | None:
    """One field by itself; None if it is missing or does not fit."""
    if given is None:
        return None
    try:
        return decoder.decode(given)
    except _UNREADABLE:
        return None
