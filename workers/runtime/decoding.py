"""Turns raw records into decoded ones, in slices, after checking that they continue the position.

Decoding is CPU work on the event loop. Between slices the loop may send heartbeats, publish and commit.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import structs

from schemas.decoding import BadRecord
from schemas.limits import MAX_VALUE_BYTES
from workers.errors import PositionLost
from workers.process.tasks import growing_slices
from workers.records import (
    DeadLetter,
    EnvelopeFault,
    Fingerprint,
    Partition,
    PartitionStep,
    RawRecord,
    Record,
    Slice,
    Trial,
    Unreadable,
)
from workers.rules.event_time import kafka_time_or
from workers.runtime.worker_spec import Decode

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TRACEPARENT_BYTES: Final = 256
"""W3C Trace Context has 55 bytes in its first version; later versions may have more. Other values are not copied."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How many records a transaction takes of a partition: `most` at most. Once that reaches `until` it takes whole
    polls again. `failed` records were too many last time. `well` counts successful portions of this size.
    `after_crash`: the owner writes down what it tries; `tried` is what earlier owners began and did not finish.
    """

    most: int
    until: int
    failed: int
    well: int = 0
    after_crash: bool = False
    tried: Trial | None = None


@dataclass(slots=True)
class Position:
    """Where a partition stands: the next offset to apply, None before its first record ever.

    `unverified` is the fingerprint of the last record before it, until the topic was seen to hold the same record.
    `bad` are the offsets of bad records among the last ones. `pace`: how much of it a transaction takes, None for all
    that a poll brings.
    """

    next_offset: int | None
    unverified: Fingerprint | None = None
    bad: tuple[int, ...] = ()
    pace: Pace | None = None


@dataclass(slots=True)
class Part:
    """One partition's part of a poll. It advances to `end`, perhaps without a record. `records` and `dead` together are
    all of `raw`. `polled_at` stands for Kafka timestamps out of range.
    """

    source: Partition
    raw: Sequence[RawRecord]
    end: int
    records: list[Record[Any]] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    polled_at: datetime = EPOCH

    def step(self, first: int | None) -> PartitionStep:
        if not self.raw:
            return PartitionStep(self.source, first, self.end, None)
        times = {raw.timestamp for raw in self.raw}
        highest = max(kafka_time_or(timestamp, self.polled_at) for timestamp in times)
        return PartitionStep(self.source, first, self.end, fingerprint(self.raw[-1]), highest)

    def since_watermark(self, known: datetime | None) -> list[Record[Any]]:
        """The records, each with the highest Kafka timestamp up to it: of this part, and `known` from before."""
        bad = iter(sorted(self.dead, key=lambda letter: letter.raw.offset))
        letter, reached, found = next(bad, None), known or EPOCH, []
        for record in self.records:
            while letter is not None and letter.raw.offset < record.offset:
                reached = max(reached, kafka_time_or(letter.raw.timestamp, self.polled_at))
                letter = next(bad, None)
            if record.timestamp < reached:
                record = structs.replace(record, watermark=reached)  # noqa: PLW2901 - the same record
            else:
                reached = record.timestamp
            found.append(record)
        return found

    def before(self, offset: int) -> "Part | None":
        """The part before `offset`; None if it has no record."""
        part = self._only(lambda found: found < offset, min(offset, self.end))
        return part if part.raw else None

    def since(self, offset: int) -> "Part | None":
        """The part from `offset` on; None if it is empty."""
        return self._only(lambda found: found >= offset, self.end) if offset < self.end else None

    def _only(self, wanted: Callable[[int], bool], end: int) -> "Part":
        raw = [r for r in self.raw if wanted(r.offset)]
        records = [r for r in self.records if wanted(r.offset)]
        return replace(self, raw=raw, end=end, records=records, dead=[d for d in self.dead if wanted(d.raw.offset)])


def fingerprint(raw: RawRecord) -> Fingerprint:
    digest = raw.digest if isinstance(raw, Unreadable) else None
    crc = zlib.crc32(raw.value or b"", zlib.crc32(raw.key or b"")) if digest is None else digest.crc
    return Fingerprint(raw.offset, raw.timestamp, crc)


def continued(parts: Sequence[Part], positions: Mapping[Partition, Position]) -> list[Part]:
    """What is still to apply of our partitions. Marks their positions as verified.

    Raises:
        PositionLost: the last record before the position is not the one that was applied: the topic was created again.
    """
    kept = [_continued(part, positions[part.source]) for part in parts if part.source in positions]
    return [part for part in kept if part is not None]


def _continued(part: Part, position: Position) -> Part | None:
    if position.unverified is not None:
        position.unverified = _verified(part, position.unverified)
    if position.next_offset is None or (part.raw and part.raw[0].offset >= position.next_offset):
        return part
    return part.since(position.next_offset)


def _verified(part: Part, known: Fingerprint) -> Fingerprint | None:
    """The fingerprint that is still to verify; None once that record was read, or is known to be deleted."""
    if not part.raw:
        return known if part.end <= known.offset else None
    first = part.raw[0]
    if first.offset == known.offset and fingerprint(first) != known:
        raise PositionLost(
            f"{part.source.topic}[{part.source.partition}] holds another record at offset {first.offset} than the one "
            "that was applied: the topic was created again, or another cluster is configured. Decide with "
            "`sluice progress`"
        )
    return None


async def decode(decoders: Mapping[str, Decode], slices: Mapping[Partition, Slice]) -> list[Part]:
    """Parts in order of their source. Yields to other tasks. A Kafka timestamp out of range counts as now."""
    parts, now = [], datetime.now(UTC)
    for source in sorted(slices):
        given = slices[source]
        part = Part(source, given.records, given.end, polled_at=now)
        decoder = decoders[source.topic]
        async for raws in growing_slices(given.records):
            _decode(part, _readable(part, raws, given.faults) if given.faults else raws, decoder, now)
        parts.append(part)
    return parts


def _decode(part: Part, raws: Sequence[RawRecord], decoder: Decode, now: datetime) -> None:
    source, records = part.source, part.records
    for raw in raws:
        value = decoder(raw.value) if len(raw.value or b"") <= MAX_VALUE_BYTES else _too_large(raw)
        if isinstance(value, BadRecord):
            part.dead.append(DeadLetter(source, raw, value.error))
        else:
            trace = _traceparent(raw) if raw.headers else None
            records.append(Record(source, raw.offset, kafka_time_or(raw.timestamp, now), raw.key, value, trace, raw))


def _readable(part: Part, raws: Sequence[RawRecord], faults: Mapping[int, EnvelopeFault]) -> list[RawRecord]:
    """The records whose envelope can be read. The others become dead letters, whatever their value is."""
    found = [(raw, faults[raw.offset]) for raw in raws if raw.offset in faults]
    part.dead += [DeadLetter(part.source, raw, *fault) for raw, fault in found]
    return [raw for raw in raws if raw.offset not in faults]


def _too_large(raw: RawRecord) -> BadRecord:
    return BadRecord(f"value: {len(raw.value or b'')} bytes, at most {MAX_VALUE_BYTES}")


def _traceparent(raw: RawRecord) -> bytes | None:
    for name, value in raw.headers:
        if name == "traceparent" and value is not None and len(value) <= _TRACEPARENT_BYTES:
            return value
    return None
