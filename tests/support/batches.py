"""Batches of Kafka's present format as bytes, including ones that no client library makes."""

import struct
from collections.abc import Sequence
from typing import Any, Final

from aiokafka.record.util import calc_crc32c, encode_varint

from workers.kafka.unpacking import Budget, Unpacked
from workers.records import RawRecord

Header = tuple[bytes, bytes | None]
TRANSACTIONAL: Final = 0x10
CONTROL: Final = 0x20
_HEAD: Final = struct.Struct(">qiibI")


def record(
    delta: int,
    value: bytes | None,
    *,
    key: bytes | None = b"k",
    headers: Sequence[Header] = (),
    since_ms: int = 0,
    count: int | None = None,
) -> bytes:
    """One record; `count`: of headers, if it shall not be true."""
    body = bytearray(b"\0")
    for number in (since_ms, delta):
        encode_varint(number, body.append)
    for field in (key, value):
        _field(body, field)
    encode_varint(len(headers) if count is None else count, body.append)
    for name, content in headers:
        _field(body, name)
        _field(body, content)
    whole = bytearray()
    encode_varint(len(body), whole.append)
    return bytes(whole + body)


def _field(body: bytearray, field: bytes | None) -> None:
    encode_varint(-1 if field is None else len(field), body.append)
    body += field or b""


def batch(
    base: int,
    payload: bytes,
    count: int,
    *,
    attributes: int = 0,
    producer: int = -1,
    last: int | None = None,
    timestamp: int = 1_700_000_000_000,
    newest: int | None = None,
    magic: int = 2,
) -> bytes:
    """A batch of `count` records with a true checksum. `last`: its last offset, if not that of the last record.

    Times of records count from `timestamp`; `newest` is the last one, if it is another.
    """
    delta = count - 1 if last is None else last - base
    rest = struct.pack(
        ">hiqqqhii",
        attributes,
        delta,
        timestamp,
        timestamp if newest is None else newest,
        producer,
        0 if producer >= 0 else -1,
        -1,
        count,
    )
    checked = rest + payload
    return _HEAD.pack(base, 9 + len(checked), 0, magic, calc_crc32c(checked)) + checked


def plain(base: int, *values: bytes, **others: Any) -> bytes:
    """A batch of ordinary records."""
    return batch(base, b"".join(record(n, value) for n, value in enumerate(values)), len(values), **others)


def marker(base: int, producer: int, *, commits: bool) -> bytes:
    """The control record that ends a transaction."""
    payload = record(0, struct.pack(">hi", 0, 0), key=struct.pack(">hh", 0, int(commits)))
    return batch(base, payload, 1, attributes=TRANSACTIONAL | CONTROL, producer=producer)


def damaged(whole: bytes, at: int = -1) -> bytes:
    """The batch with a bit of its checked part turned."""
    there = at % len(whole)
    return whole[:there] + bytes([whole[there] ^ 1]) + whole[there + 1 :]


def taken(unpacked: Unpacked, records: int = 2**63, bytes_: int = 2**63) -> list[RawRecord]:
    """What one poll within these bounds takes."""
    budget = Budget(records, bytes_)
    found = unpacked.take(budget)
    while unpacked.large and not budget.spent:
        found += unpacked.take_of_large(budget)
        found += unpacked.take(budget)
    return found
