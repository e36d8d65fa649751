"""Parses one batch of Kafka's present format, record by record. Accepts more than aiokafka. Slow, and rarely needed.

A record whose headers cannot be read keeps its offset, key and value. A value that is too large to keep is not copied.
"""

import hashlib
import struct
import zlib
from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

import cramjam
from aiokafka.errors import KafkaError

from schemas.limits import MAX_DEAD_LETTER_BYTES, MAX_VALUE_BYTES
from workers.kafka.inflating import INFLATED_AT_MOST, BrokenBatch, inflated
from workers.records import Headers, ValueDigest

_BATCH: Final = Struct(">qiibIhiqqqhii")
_ATTRIBUTES: Final = Struct(">h")
_ATTRIBUTES_AT: Final = 21
_COMPRESSION: Final = 0x07
_MAGIC_AT: Final = 16
_LEGACY_ATTRIBUTES_AT: Final = 17
_LEGACY_TIMESTAMP: Final = 8  # bytes, since the second of the older formats
_SIZE: Final = Struct(">i")
_APPEND_TIME: Final = 0x08
_MOST_BITS: Final = 63
_LONG: Final = MAX_DEAD_LETTER_BYTES
_MANY: Final = 65_536
_MOST_HEADERS: Final = 10_000
_HEADER_BYTES: Final = 2  # at least: the lengths of name and value

UNREADABLE: Final = (
    # What libraries raise on invalid bytes: their own errors, and those of the modules that they use.
    *(KafkaError, cramjam.DecompressionError, zlib.error, struct.error),
    *(ValueError, LookupError, ArithmeticError, OSError, EOFError, MemoryError, AssertionError),
)


class Parsed(NamedTuple):
    """A record as it came. `error`: which part cannot be read, or why it was not taken. Header names that are not UTF-8
    are escaped. `digest` stands for a value that is too large to keep.
    """

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    error: str | None
    digest: ValueDigest | None


def uncompressed(frame: memoryview, most: int) -> memoryview:
    """The batch as its producer would have written it without compression.

    Raises:
        TooLarge: it inflates to more than `most` bytes.
        BrokenBatch: it cannot be inflated.
    """
    attributes = _ATTRIBUTES.unpack_from(frame, _ATTRIBUTES_AT)[0]
    compression = attributes & _COMPRESSION
    if not compression:
        return frame
    plain = _ATTRIBUTES.pack(attributes - compression)
    head = bytes(frame[:_ATTRIBUTES_AT]) + plain + bytes(frame[_ATTRIBUTES_AT + len(plain) : _BATCH.size])
    return inflated(frame[_BATCH.size :], compression, most, head)


def check_legacy(frame: memoryview) -> None:
    """Checks that a batch of an older format may be inflated.

    Raises:
        TooLarge, BrokenBatch: it may not.
    """
    compression = frame[_LEGACY_ATTRIBUTES_AT] & _COMPRESSION
    if compression:
        at = _LEGACY_ATTRIBUTES_AT + 1 + frame[_MAGIC_AT] * _LEGACY_TIMESTAMP
        at += _SIZE.size + max(0, _SIZE.unpack_from(frame, at)[0])  # the key
        length = max(0, _SIZE.unpack_from(frame, at)[0])
        inflated(frame[at + _SIZE.size :][:length], compression, INFLATED_AT_MOST)


def is_unusual(frame: memoryview) -> bool:
    """Whether the parser instead of aiokafka must read an uncompressed batch: a record is longer than the longest that
    is kept, or has very many headers. aiokafka would copy them first, and headers take many times their bytes.
    """
    if len(frame) <= _LONG:
        return False
    at, end = _BATCH.size, len(frame)
    for _ in range(_MANY):
        length = shift = 0
        while True:
            if at >= end or shift > _MOST_BITS:
                return shift > 0
            byte = frame[at]
            at += 1
            length |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
        if length & 1 or not 0 < length >> 1 <= _LONG:
            return True
        at += length >> 1
    return True


class Parser:
    """Parses the records of a batch. Continues where it stopped, over bytes that may be given again."""

    def __init__(self, frame: memoryview) -> None:
        self._base, *_, attributes, _delta, self._first, most, _, _, _, self._left = _BATCH.unpack_from(frame)
        self._appended = most if attributes & _APPEND_TIME else None
        self._at = _BATCH.size

    def records(self, frame: memoryview) -> Iterator[Parsed]:
        """The remaining records of the uncompressed batch.

        Raises:
            BrokenBatch: from some point on it is no batch of records.
        """
        reader = _BatchReader(frame, self._at)
        while self._left > 0:
            record = reader.record(self._base, self._first, self._appended)
            self._left -= 1
            self._at = reader.at
            yield record
        if reader.rest:
            raise BrokenBatch("it holds more than its records")


class _BatchReader:
    def __init__(self, payload: memoryview, at: int) -> None:
        self._payload = payload
        self.at = at

    @property
    def rest(self) -> int:
        """Number of bytes that are not read yet."""
        return len(self._payload) - self.at

    def record(self, base: int, first: int, appended: int | None) -> Parsed:
        try:
            return self._record(base, first, appended)
        except IndexError as error:
            raise BrokenBatch("a record in it is cut off") from error

    def _record(self, base: int, first: int, appended: int | None) -> Parsed:
        length = self._number()
        end = self.at + length
        if not 0 < length <= self.rest:
            raise BrokenBatch("a record in it is cut off")
        self.at += 1  # attributes: none are known
        since = self._number()
        offset = base + self._number()
        key, value = self._bytes(end), self._view(end)
        headers, error = self._headers(end)
        if self.at != end:
            raise BrokenBatch("a record in it does not end where it says")
        timestamp = first + since if appended is None else appended
        if value is None or len(value) <= MAX_DEAD_LETTER_BYTES:
            kept = None if value is None else bytes(value)
            return Parsed(offset, timestamp, key, kept, headers, error, None)
        error = f"value: {len(value)} bytes, at most {MAX_VALUE_BYTES}"
        digest = ValueDigest(len(value), hashlib.sha256(value).hexdigest(), zlib.crc32(value, zlib.crc32(key or b"")))
        return Parsed(offset, timestamp, key, None, headers, error, digest)

    def _headers(self, end: int) -> tuple[Headers, str | None]:
        headers: list[tuple[str, bytes | None]] = []
        error = None
        count = self._number()
        if count < 0:
            raise BrokenBatch("a record in it has less than no headers")
        if count > (end - self.at) // _HEADER_BYTES:
            raise BrokenBatch("a record in it is cut off")
        if count > _MOST_HEADERS:
            # Nobody needs them, and half a million take a quarter of a second.
            self.at = end
            return (), f"headers: {count}, at most {_MOST_HEADERS}"
        for number in range(1, count + 1):
            raw, value = self._view(end), self._view(end)
            if raw is None:
                raise BrokenBatch("a header in it has no name")
            try:
                name = str(raw, "utf-8")
            except UnicodeDecodeError:
                name = str(raw, "utf-8", "backslashreplace")
                error = error or f"headers: the name of header {number} of {count} is not UTF-8"
            headers.append((name, None if value is None else bytes(value)))
        return headers, error

    def _bytes(self, end: int) -> bytes | None:
        view = self._view(end)
        return None if view is None else bytes(view)

    def _view(self, end: int) -> memoryview | None:
        length = self._number()
        if length < 0:
            return None
        if length > end - self.at:
            raise BrokenBatch("a field in it is longer than its record")
        self.at += length
        return self._payload[self.at - length : self.at]

    def _number(self) -> int:
        """Reads a zigzag varint."""
        number = shift = 0
        while True:
            byte = self._payload[self.at]
            self.at += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return (number >> 1) ^ -(number & 1)
            shift += 7
            if shift > _MOST_BITS:
                raise BrokenBatch("a number in it does not end")
