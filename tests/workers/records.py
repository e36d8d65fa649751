"""Hand-made records for the workers, decoded as the engine decodes them."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, NamedTuple
from uuid import UUID, uuid5

import msgspec

from schemas.decoding import (
    BadRecord,
    decode_command,
    decode_inbound,
    decode_receipt,
    decode_send,
    decode_workflow_event,
)
from workers.records import Batch, Partition, Record

DAY = datetime(2026, 3, 10, tzinfo=UTC)
WORKSPACE = "acme"
_offsets = count()

_DECODERS: dict[str, Any] = {
    "messages.inbound": decode_inbound,
    "messages.outbound": decode_send,
    "messages.receipts": decode_receipt,
    "contacts.commands": decode_command,
    "workflows.events": decode_workflow_event,
}


class Raw(NamedTuple):
    """A record as it came."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


def at(minutes: float) -> datetime:
    """A moment of the tests' day."""
    return DAY + timedelta(minutes=minutes)


def uuid_of(name: str) -> UUID:
    return uuid5(UUID(int=0), name)


def record(topic: str, fields: dict[str, Any], *, timestamp: datetime, partition: int = 0) -> Record[Any]:
    value = msgspec.json.encode(fields)
    decoded = _DECODERS[topic](value)
    assert not isinstance(decoded, BadRecord), decoded
    raw = Raw(next(_offsets), round(timestamp.timestamp() * 1000), b"key", value, (("theirs", b"\x00"),))
    return Record(Partition(topic, partition), raw.offset, timestamp, raw.key, decoded, None, raw)


def message(  # a message as an adapter publishes it
    address: str = "+4915112345678",
    *,
    minutes: float = 0,
    text: str = "hello",
    provider_message_id: str | None = None,
    channel: str = "whatsapp",
    channel_id: str | None = None,
    workspace_id: str = WORKSPACE,
    kind: str = "message",
    name: str | None = None,
    language: str | None = None,
    avatar_url: str | None = None,
    late_minutes: float = 0,
    partition: int = 0,
) -> Record[Any]:
    sent_at = at(minutes)
    received_at = sent_at + timedelta(minutes=late_minutes)
    sender = {"address": address, "name": name, "language": language, "avatar_url": avatar_url}
    fields = {
        "workspace_id": workspace_id,
        "channel_id": channel_id or f"{channel}-main",
        "channel": channel,
        "provider_message_id": provider_message_id or f"{address}-{minutes}-{kind}",
        "sender": sender,
        "sent_at": sent_at,
        "received_at": received_at,
        "kind": kind,
        "content": {"type": "text", "text": text},
    }
    return record("messages.inbound", fields, timestamp=received_at, partition=partition)


def batch(*records: Record[Any], now: datetime | None = None) -> Batch[Any]:
    return Batch(records, now or max((r.timestamp for r in records), default=DAY))
