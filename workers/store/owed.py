"""The batch outbox: the outputs of one poll and partition as one compressed row."""

import zlib
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import cramjam
import msgspec

from workers.runtime.batch import Connection, Fact, Source
from workers.runtime.effects import SHARED
from workers.runtime.ports import Owed, OwedKey
from workers.store.queries import load

_QUERIES: Final = load("owed")
_ENCODER: Final = msgspec.msgpack.Encoder(uuid_format="bytes")
_DECODER: Final = msgspec.msgpack.Decoder(list[Fact])

# Up to here a row stays whole in its page, and compressing it takes longer than writing the bytes that it would save.
_SMALL: Final = 1_800
_PLAIN: Final = b"\0"
_ZLIB: Final = b"\1"  # how rows were written once; some may still be owed
_ZSTD: Final = b"\2"  # a quarter of zlib's time, and smaller


def pack(facts: Sequence[Fact]) -> bytes:
    """Facts as stored: one byte that tells the form, then MessagePack, compressed unless small."""
    raw = _ENCODER.encode(facts)
    return _PLAIN + raw if len(raw) < _SMALL else _ZSTD + bytes(cramjam.zstd.compress(raw, 1))


def unpack(stored: bytes) -> list[Fact]:
    """The inverse of `pack`: equal facts, byte for byte."""
    return _DECODER.decode(_FORMS[stored[:1]](stored[1:]))


_FORMS: Final[Mapping[bytes, Callable[[bytes], Any]]] = {
    _PLAIN: bytes,
    _ZLIB: zlib.decompress,
    _ZSTD: cramjam.zstd.decompress,
}


def mark(topic: str, key: bytes) -> int:
    """Four bytes that stand for a topic and key; others may have the same."""
    return zlib.crc32(key, zlib.crc32(topic.encode()))


def _packed_marks(facts: Iterable[Fact]) -> bytes | None:
    found = {mark(fact.topic, fact.key or b"") for fact in facts if fact.topic in SHARED}
    return array("I", sorted(found)).tobytes() if found else None


def marks(stored: bytes) -> Sequence[int]:
    """The marks of a row's facts about shared keys."""
    return array("I", stored)


async def of_source(connection: Connection, source: Source) -> list[Owed]:
    """What is owed for a partition, oldest first."""
    rows = await connection.fetch(_QUERIES["of_source"], source.topic, source.partition)
    return [Owed(OwedKey(source, row["next_offset"]), unpack(row["outputs"])) for row in rows]


async def owe(connection: Connection, lease: UUID, owed: Sequence[Owed], published: Sequence[OwedKey]) -> None:
    """Stores what is owed and forgets what is published, in one statement; see `settle`."""
    rows = sorted(owed, key=lambda row: row.key)
    await connection.execute(
        _QUERIES["owe"],
        [row.key.source.topic for row in rows],
        [row.key.source.partition for row in rows],
        [row.key.next_offset for row in rows],
        [pack(row.facts) for row in rows],
        [_packed_marks(row.facts) for row in rows],
        lease,
        *_columns(published),
    )


async def settle(connection: Connection, lease: UUID, published: Sequence[OwedKey]) -> None:
    """Forgets what is published. A row of a partition that is no longer held under the lease stays: its owner may have
    gone back and owe it anew."""
    await connection.execute(_QUERIES["settle"], lease, *_columns(published))


async def forget(connection: Connection, source: Source) -> None:
    """Forgets everything a partition owes; nobody may be at work on it."""
    await connection.execute(_QUERIES["forget"], source.topic, source.partition)


async def all_sources(connection: Connection) -> list[Source]:
    """Every partition that owes something."""
    return [Source(r["topic"], r["partition"]) for r in await connection.fetch(_QUERIES["all_sources"])]


def _columns(keys: Sequence[OwedKey]) -> tuple[list[str], list[int], list[int]]:
    ordered = sorted(keys)
    return (
        [key.source.topic for key in ordered],
        [key.source.partition for key in ordered],
        [key.next_offset for key in ordered],
    )
