"""The batch outbox: the outputs of one poll and partition as one compressed row."""

import zlib
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import cramjam
import msgspec

from schemas.topics import SHARED_KEYS
from workers.records import Event, OutboxKey, OutboxRow, Partition
from workers.store.connection import Connection
from workers.store.queries import load

_QUERIES: Final = load("batch_outbox")
_ENCODER: Final = msgspec.msgpack.Encoder(uuid_format="bytes")
_DECODER: Final = msgspec.msgpack.Decoder(list[Event])

# Up to this size a row stays in its page, and compressing it takes longer than writing the saved bytes.
_SMALL: Final = 1_800
_PLAIN: Final = b"\0"
_ZSTD: Final = b"\1"


def pack(events: Sequence[Event]) -> bytes:
    """Events as stored: one byte for the format, then MessagePack, compressed unless small."""
    raw = _ENCODER.encode(events)
    return _PLAIN + raw if len(raw) < _SMALL else _ZSTD + bytes(cramjam.zstd.compress(raw, 1))


def unpack(stored: bytes) -> list[Event]:
    """The inverse of `pack`: equal events, byte for byte."""
    return _DECODER.decode(_FORMS[stored[:1]](stored[1:]))


_FORMS: Final[Mapping[bytes, Callable[[bytes], Any]]] = {
    _PLAIN: bytes,
    _ZSTD: cramjam.zstd.decompress,
}


def mark(topic: str, key: bytes) -> int:
    """A hash of four bytes of a topic and key; others may have the same."""
    return zlib.crc32(key, zlib.crc32(topic.encode()))


def _packed_marks(events: Iterable[Event]) -> bytes | None:
    found = {mark(event.topic, event.key or b"") for event in events if event.topic in SHARED_KEYS}
    return array("I", sorted(found)).tobytes() if found else None


def marks(stored: bytes) -> Sequence[int]:
    """The marks of the row's events about shared keys."""
    return array("I", stored)


async def of_source(connection: Connection, source: Partition) -> list[OutboxRow]:
    """The outbox rows of a partition, oldest first."""
    rows = await connection.fetch(_QUERIES["of_source"], source.topic, source.partition)
    return [OutboxRow(OutboxKey(source, row["next_offset"]), unpack(row["events"])) for row in rows]


async def store_outbox(
    connection: Connection, lease: UUID, outbox: Sequence[OutboxRow], published: Sequence[OutboxKey]
) -> None:
    """Stores outbox rows and deletes published ones, in one statement; see `forget_published`."""
    rows = sorted(outbox, key=lambda row: row.key)
    await connection.execute(
        _QUERIES["store"],
        [row.key.source.topic for row in rows],
        [row.key.source.partition for row in rows],
        [row.key.next_offset for row in rows],
        [pack(row.events) for row in rows],
        [_packed_marks(row.events) for row in rows],
        lease,
        *_columns(published),
    )


async def forget_published(connection: Connection, lease: UUID, published: Sequence[OutboxKey]) -> None:
    """Deletes published outbox rows.

    Keeps rows of a partition that is no longer held under the lease: after a rewind its owner may have stored other
    rows under these keys.
    """
    await connection.execute(_QUERIES["delete_published"], lease, *_columns(published))


async def forget(connection: Connection, source: Partition) -> None:
    """Deletes the outbox rows of a partition; no worker may own it."""
    await connection.execute(_QUERIES["forget"], source.topic, source.partition)


async def all_sources(connection: Connection) -> list[Partition]:
    """Every partition with outbox rows."""
    return [Partition(r["topic"], r["partition"]) for r in await connection.fetch(_QUERIES["all_sources"])]


def _columns(keys: Sequence[OutboxKey]) -> tuple[list[str], list[int], list[int]]:
    ordered = sorted(keys)
    return (
        [key.source.topic for key in ordered],
        [key.source.partition for key in ordered],
        [key.next_offset for key in ordered],
    )
