"""Turns the bytes of a fetch into records, whatever the bytes are. No IO.

Control records and the batches of aborted transactions are skipped, and count as read. What cannot be read is one
`Unreadable` in place of a record. Records of good batches are aiokafka's own objects, at full speed.

A batch with a wrong checksum may have been damaged on its way: it ends the fetch, so that it is fetched again. If the
same bytes come twice, the broker stores them like that.
"""

import zlib
from collections.abc import Iterator, Sequence
from struct import Struct
from typing import Any, Final, NamedTuple

from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.legacy_records import LegacyRecordBatch

from workers.kafka.inflating import INFLATED_AT_MOST, INFLATED_AT_ONCE, BrokenBatch, TooLarge
from workers.kafka.lenient_parsing import UNREADABLE, Parsed, Parser, check_legacy, is_unusual, uncompressed
from workers.records import PlainRecord, RawRecord, Unreadable
from workers.rules.letters import BATCH_FAULT, TOO_LARGE

_FRAME: Final = Struct(">qi")
"""Offset and length, of every format."""
_EXTENT: Final = Struct(">i30xi")
"""Last offset delta and count of records, at `_EXTENT_AT` of a batch."""
_EXTENT_AT: Final = 23
_MAGIC_AT: Final = 16
_SMALLEST: Final = {0: 26, 1: 34, 2: 61}
_PRESENT: Final = 2
_HEADER_BYTES: Final = 100
"""Approximate memory of a header."""
_TOO_LARGE: Final = f"{TOO_LARGE}the batch inflates to more than {INFLATED_AT_MOST} bytes"


class _Large(NamedTuple):
    """A batch that inflates to more than `AT_ONCE`."""

    frame: memoryview
    batch: Any
    parser: Parser


class Suspicion:
    """The damaged bytes of one partition, to recognise them."""

    def __init__(self) -> None:
        self._seen: tuple[int, int, int] | None = None
        self.fresh = False
        """Damaged bytes came for the first time: they are fetched again."""

    def confirmed(self, offset: int, damaged: memoryview) -> bool:
        """Whether the same bytes came for this offset the last time."""
        seen = offset, len(damaged), zlib.crc32(damaged)
        self._seen, known = seen, self._seen == seen
        self.fresh = not known
        return known


class Budget:
    """How much may still be taken. The record that exceeds it is still taken."""

    def __init__(self, records: int, bytes_: int) -> None:
        self._records = records
        self._bytes = bytes_

    @property
    def spent(self) -> bool:
        """Whether nothing more may be taken."""
        return self._records <= 0 or self._bytes <= 0

    def take(self, source: Iterator[RawRecord], taken: list[RawRecord]) -> None:
        """Moves records from `source` to `taken`."""
        records, rest = self._records, self._bytes
        for record in source:
            taken.append(record)
            records -= 1
            rest -= len(record.value or b"") + len(record.key or b"") + _HEADER_BYTES * len(record.headers)
            if records <= 0 or rest <= 0:
                break
        self._records, self._bytes = records, rest


class Unpacked:
    """The records of one partition's part of a fetch. Each comes once.

    `next_fetch_offset` is where to read on: everything before it was handed over or skipped. `aborted` are producers of
    aborted transactions with the first offset of each.
    """

    def __init__(
        self, fetched: bytes, fetch_offset: int, aborted: Sequence[tuple[int, int]], suspicion: Suspicion
    ) -> None:
        self.next_fetch_offset = fetch_offset
        self.more = True
        """Not everything was handed over."""
        self._fetched = memoryview(fetched)
        self._aborted = sorted(aborted, key=lambda transaction: transaction[1], reverse=True)
        self._aborting: set[int] = set()
        self._suspicion = suspicion
        self._large: _Large | None = None
        self._records: Iterator[RawRecord] = iter(())
        self._parts = self._unpack()

    @property
    def fetched_bytes(self) -> int:
        """How much was fetched, as it was compressed."""
        return len(self._fetched)

    @property
    def large(self) -> bool:
        """Whether the next batch takes much time and memory: see `take_of_large`."""
        return self._large is not None

    def take(self, budget: Budget) -> list[RawRecord]:
        """The next records, within the budget, up to a large batch."""
        taken: list[RawRecord] = []
        while not budget.spent and self.more and self._large is None:
            budget.take(self._records, taken)
            if not budget.spent:
                self._advance()
        return taken

    def _advance(self) -> None:
        part = next(self._parts, None)
        if part is None:
            self.more = False
        elif isinstance(part, _Large):
            self._large = part
        else:
            self._records = part

    def take_of_large(self, budget: Budget) -> list[RawRecord]:
        """The next records of a large batch. Inflates it again each time and does not keep it, so that memory holds one
        at once. Call it in the one thread of the process for this.
        """
        taken: list[RawRecord] = []
        if self._large is not None:
            budget.take(self._of_large(self._large), taken)
        return taken

    def _of_large(self, large: "_Large") -> Iterator[RawRecord]:
        frame, batch, parser = large
        try:
            yield from self._parsed(parser, uncompressed(frame, INFLATED_AT_MOST), frame, batch)
        except TooLarge:
            yield from self._lost(frame, batch, _TOO_LARGE)
        except BrokenBatch as broken:
            yield from self._lost(frame, batch, f"{BATCH_FAULT}{broken}")
        self._large = None

    def _unpack(self) -> "Iterator[Iterator[RawRecord] | _Large]":
        begin, frames = self.next_fetch_offset, list(_frames(self._fetched))
        for number, frame in enumerate(frames):
            until = _FRAME.unpack_from(frames[number + 1])[0] if number + 1 < len(frames) else None
            magic = frame[_MAGIC_AT] if len(frame) > _MAGIC_AT else None
            batch = _batch(frame, magic)
            if batch is None or not batch.validate_crc():
                if not self._suspicion.confirmed(self.next_fetch_offset, frame):
                    return
                last = _last(frame, self.next_fetch_offset, until)
                yield iter([self._instead(frame, last, _why_damaged(batch, magic))])
            elif magic == _PRESENT:
                yield self._present(frame, batch)
            else:
                yield self._legacy(frame, batch)
        if self.next_fetch_offset == begin:
            # No broker answers like this, but the loop would never end.
            yield iter([self._instead(frames[0], begin, f"{BATCH_FAULT}it holds none of its offsets")])

    def _present(self, frame: memoryview, batch: Any) -> "Iterator[RawRecord] | _Large":
        if batch.is_control_batch or (batch.is_transactional and batch.producer_id in self._under_way(batch)):
            self._pass_over(batch)
            return iter(())
        try:
            plain = uncompressed(frame, INFLATED_AT_ONCE)
        except TooLarge:
            return _Large(frame, batch, Parser(frame))
        except BrokenBatch as broken:
            return self._lost(frame, batch, f"{BATCH_FAULT}{broken}")
        if is_unusual(plain):
            return self._parsed(Parser(plain), plain, frame, batch)
        return self._fast(plain, frame, batch)

    def _fast(self, plain: memoryview, frame: memoryview, batch: Any) -> Iterator[RawRecord]:
        try:
            for record in DefaultRecordBatch(plain):
                offset = record.offset
                if offset >= self.next_fetch_offset:
                    self.next_fetch_offset = offset + 1
                    yield record
        except UNREADABLE:
            yield from self._parsed(Parser(plain), plain, frame, batch)
        self.next_fetch_offset = max(self.next_fetch_offset, batch.next_offset)

    def _parsed(self, parser: Parser, plain: memoryview, frame: memoryview, batch: Any) -> Iterator[RawRecord]:
        """The rest of a batch that aiokafka cannot read, or should not."""
        try:
            for record in parser.records(plain):
                if record.offset >= self.next_fetch_offset:
                    self.next_fetch_offset = record.offset + 1
                    yield _as_it_came(record)
        except BrokenBatch as broken:
            yield from self._lost(frame, batch, f"{BATCH_FAULT}{broken}")
        self.next_fetch_offset = max(self.next_fetch_offset, batch.next_offset)

    def _lost(self, frame: memoryview, batch: Any, why: str) -> Iterator[RawRecord]:
        """Stands for the rest of a batch, if there is any."""
        if self.next_fetch_offset < batch.next_offset:
            yield self._instead(frame, batch.next_offset - 1, why, batch.max_timestamp)

    def _pass_over(self, batch: Any) -> None:
        if batch.is_control_batch:
            # Its transaction ends here, committed or aborted.
            self._under_way(batch).discard(batch.producer_id)
        self.next_fetch_offset = max(self.next_fetch_offset, batch.next_offset)

    def _under_way(self, batch: Any) -> set[int]:
        """Producers with a transaction that is open at this batch and will be aborted."""
        while self._aborted and self._aborted[-1][1] <= batch.base_offset:
            self._aborting.add(self._aborted.pop()[0])
        return self._aborting

    def _legacy(self, frame: memoryview, batch: Any) -> Iterator[RawRecord]:
        last = max(self.next_fetch_offset, batch.next_offset - 1)
        try:
            check_legacy(frame)
            for record in batch:
                if record.offset >= self.next_fetch_offset:
                    self.next_fetch_offset = record.offset + 1
                    timestamp = -1 if record.timestamp is None else record.timestamp
                    yield PlainRecord(record.offset, timestamp, record.key, record.value)
        except TooLarge:
            yield self._instead(frame, last, _TOO_LARGE)
        except BrokenBatch as broken:
            yield self._instead(frame, last, f"{BATCH_FAULT}{broken}")
        except UNREADABLE as error:
            last = max(self.next_fetch_offset, last)
            yield self._instead(frame, last, f"{BATCH_FAULT}{type(error).__name__}")

    def _instead(self, frame: memoryview, last: int, error: str, timestamp: int = -1) -> Unreadable:
        first, self.next_fetch_offset = self.next_fetch_offset, last + 1
        return Unreadable(first, timestamp, None, bytes(frame), (), f"{error} (offsets {first} to {last})", last)


def _as_it_came(record: Parsed) -> RawRecord:
    offset, timestamp, key, value, headers, error, digest = record
    if error is None:
        return PlainRecord(offset, timestamp, key, value, headers)
    return Unreadable(offset, timestamp, key, value, headers, error, None, digest)


def _frames(fetched: memoryview) -> Iterator[memoryview]:
    """The batches. The last one may be cut off, and comes again in the next fetch. The first one never is, so if it
    seems cut off, these are the bytes that the broker stores.
    """
    begin = 0
    while begin < len(fetched):
        length = _FRAME.unpack_from(fetched, begin)[1] if len(fetched) - begin >= _FRAME.size else -1
        end = begin + _FRAME.size + length
        if length < 0 or end > len(fetched):
            if begin == 0:
                yield fetched
            return
        yield fetched[begin:end]
        begin = end


def _batch(frame: memoryview, magic: int | None) -> Any:
    """None if the bytes are too short for a batch, or of an unknown format."""
    if magic not in _SMALLEST or len(frame) < _SMALLEST[magic]:
        return None
    if _FRAME.unpack_from(frame)[1] + _FRAME.size != len(frame):
        return None
    return DefaultRecordBatch(frame) if magic == _PRESENT else LegacyRecordBatch(frame, magic)


def _why_damaged(batch: Any, magic: int | None) -> str:
    if batch is not None:
        return f"{BATCH_FAULT}its checksum is wrong"
    why = "it is cut off" if magic is None or magic in _SMALLEST else f"format {magic} is not known"
    return BATCH_FAULT + why


def _last(frame: memoryview, position: int, until: int | None) -> int:
    """The last offset that is lost with a damaged batch: what the batch declares, if that is consistent."""
    base = _FRAME.unpack_from(frame)[0] if len(frame) >= _FRAME.size else position
    last = position
    if len(frame) >= _SMALLEST[_PRESENT]:
        delta, count = _EXTENT.unpack_from(frame, _EXTENT_AT)
        if delta + 1 == count and base <= position <= base + delta:
            last = base + delta
    return last if until is None or until <= position else min(last, until - 1)
