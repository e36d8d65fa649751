"""Builds records of the topics that connectors and requesters write, for Sluice's own programs and for yours.

A record that is built here is one that the workers can read.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from schemas import limits
from schemas.actors import Actor
from schemas.commands import InvalidCommand
from schemas.decoding import BadRecord, decode_command, decode_inbound, decode_receipt, decode_send
from schemas.inbound import NO_EXTRA, InboundMessage
from schemas.receipts import DeliveryReceipt
from schemas.sends import InvalidSend, SendRequest

INBOUND: Final = "messages.inbound"
RECEIPTS: Final = "messages.receipts"
OUTBOUND: Final = "messages.outbound"
COMMANDS: Final = "contacts.commands"

_ENCODER: Final = msgspec.json.Encoder()
_SURROGATES: Final = dict.fromkeys(range(55296, 57344), "�")
_TARGETS: Final = ("contact_id", "identity", "survivor_id", "profile_id", "company_id", "send_id", "group_id")
_UNSENDABLE: Final = {0: None, **_SURROGATES}


class CommandHead(NamedTuple):
    """What every command has, beside its own fields."""

    command_id: UUID
    workspace_id: str
    command: str
    actor: Actor
    issued_at: datetime


class Record(NamedTuple):
    """What to produce: the topic's name is without prefix, key and value are UTF-8."""

    topic: str
    key: bytes
    value: bytes


def inbound_record(message: InboundMessage) -> Record:
    """The record of a message. Text and HTML that do not fit are cut, and `extra.truncated` is true then.

    Raises:
        ValueError: a worker would make a dead letter of it; the text says what was expected.
    """
    key = f"{message.workspace_id}:{message.channel}:{message.sender.address}"
    value = _ENCODER.encode(message)
    if len(value) > limits.MAX_VALUE_BYTES:
        value = _ENCODER.encode(_cut(message))
    return Record(INBOUND, key.encode(), _readable(value, decode_inbound(value)))


def receipt_record(receipt: DeliveryReceipt) -> Record:
    """The record of a receipt.

    Raises:
        ValueError: a worker would make a dead letter of it; the text says what was expected.
    """
    key = f"{receipt.workspace_id}:{receipt.send_id or receipt.provider_message_id}"
    value = _ENCODER.encode(receipt)
    return Record(RECEIPTS, key.encode(), _readable(value, decode_receipt(value)))


def send_record(request: SendRequest) -> Record:
    """The record of a request to send.

    Raises:
        ValueError: it would be refused as `invalid`, or a dead letter; the text says what was expected.
    """
    recipient = request.to.contact_id or f"{request.channel}:{request.to.address}"
    value = _ENCODER.encode(request)
    return Record(OUTBOUND, f"{request.workspace_id}:{recipient}".encode(), _readable(value, decode_send(value)))


def command_record(head: CommandHead, fields: Mapping[str, Any]) -> Record:
    """The record of a command. Commands about one thing have one key, so that they stay in order.

    Raises:
        ValueError: it would be refused as `invalid`, or a dead letter; the text says what was expected.
    """
    value = _ENCODER.encode({**fields, **head._asdict()})
    named = next((fields[name] for name in _TARGETS if fields.get(name) is not None), "settings")
    decoded = decode_command(value)
    if not isinstance(decoded, InvalidCommand | BadRecord) and isinstance(named, Mapping):
        named = f"{named['channel']}:{named['address']}"
    return Record(COMMANDS, f"{head.workspace_id}:{named}".encode(), _readable(value, decoded))


def extra_of(values: dict[str, Any]) -> msgspec.Raw:
    """`extra` of a message. Leaves out null values, and what does not fit into its 8 KiB (`truncated` is true then)."""
    kept: dict[str, Any] = {}
    left_out = False
    for name, value in values.items():
        if value is None:
            continue
        size = len(_ENCODER.encode(kept | {name: value, "truncated": True}))
        if size <= limits.MAX_EXTRA_BYTES:
            kept[name] = value
        else:
            left_out = True
    if left_out:
        kept["truncated"] = True
    return msgspec.Raw(_ENCODER.encode(kept)) if kept else NO_EXTRA


def encoded(value: Any) -> bytes:
    """The JSON of a record, as it travels."""
    return _ENCODER.encode(value)


def sendable(text: str) -> str:
    """The text without NUL, and with U+FFFD in place of lone surrogates: no record may have them."""
    return text.translate(_UNSENDABLE) if not text.isascii() or "\0" in text else text


def _readable(value: bytes, decoded: object) -> bytes:
    if isinstance(decoded, BadRecord | InvalidCommand | InvalidSend):
        raise ValueError(decoded.error)
    return value


def _cut(message: InboundMessage) -> InboundMessage:
    """The HTML goes first, because the text says the same; attachments go last."""
    extra = msgspec.json.decode(message.extra) if bytes(message.extra) != b"null" else {}
    message = msgspec.structs.replace(message, extra=extra_of({"truncated": True} | extra))
    for name in ("html", "text", "attachments"):
        whole = getattr(message.content, name)
        kept, too_much = 0, len(whole or ()) + 1
        while too_much - kept > 1:
            middle = (kept + too_much) // 2
            if _size(_with(message, name, whole[:middle])) <= limits.MAX_VALUE_BYTES:
                kept = middle
            else:
                too_much = middle
        message = _with(message, name, whole[:kept] if whole and kept else None)
        if _size(message) <= limits.MAX_VALUE_BYTES:
            break
    return message


def _with(message: InboundMessage, name: str, value: object) -> InboundMessage:
    return msgspec.structs.replace(message, content=msgspec.structs.replace(message.content, **{name: value}))


def _size(message: InboundMessage) -> int:
    return len(_ENCODER.encode(message))
