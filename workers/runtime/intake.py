"""From raw records to what a transaction applies: checks that they continue where we stopped, decodes them in slices.

Decoding is CPU work on the event loop: between slices the loop may heartbeat, publish and commit.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from schemas.decoding import BadRecord
from schemas.limits import MAX_VALUE_BYTES
from workers.errors import PositionLost
from workers.runtime.batch import Decode, RawRecord, Record, Source
from workers.runtime.ports import DeadLetter, Fingerprint, Step
from workers.runtime.tasks import portions

_TRACEPARENT_BYTES: Final = 256
"""W3C Trace Context has 55 in its first version; later ones may be longer. What is no such header is not carried."""


@dataclass(slots=True)
class Position:
    """Where a partition stands: the next offset to apply, None before its first record ever.

    `unverified` is the fingerprint of the record before it, until the topic has been seen to hold the same one.
    `bad` are the offsets of bad records among the last ones.
    """

    next_offset: int | None
    unverified: Fingerprint | None = None
    bad: tuple[int, ...] = ()


@dataclass(slots=True)
class Part:
    """One partition's part of a poll: never empty. `records` and `dead` together are all of `raw`."""

    source: Source
    raw: Sequence[RawRecord]
    records: list[Record[Any]] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)

    @property
    def end(self) -> int:
        return self.raw[-1].offset + 1

    def step(self, first: int | None) -> Step:
        return Step(self.source, first, self.end, fingerprint(self.raw[-1]))

    def before(self, offset: int) -> "Part | None":
        """What comes before `offset`; None if nothing does."""
        return self._only(lambda found: found < offset)

    def since(self, offset: int) -> "Part | None":
        """What comes at or after `offset`; None if nothing does."""
        return self._only(lambda found: found >= offset)

    def _only(self, wanted: Callable[[int], bool]) -> "Part | None":
        raw = [r for r in self.raw if wanted(r.offset)]
        if not raw:
            return None
        records = [r for r in self.records if wanted(r.offset)]
        return replace(self, raw=raw, records=records, dead=[d for d in self.dead if wanted(d.raw.offset)])


def fingerprint(raw: RawRecord) -> Fingerprint:
    return Fingerprint(raw.timestamp, zlib.crc32(raw.value or b"", zlib.crc32(raw.key or b"")))


def continued(parts: Sequence[Part], positions: Mapping[Source, Position]) -> list[Part]:
    """What is still to apply of the partitions that are ours; their positions learn that the topic is the one we knew.

    Raises:
        PositionLost: the record before the next one is not the one that was applied: the topic was made anew.
    """
    kept = [_continued(part, positions[part.source]) for part in parts if part.source in positions]
    return [part for part in kept if part is not None]


def _continued(part: Part, position: Position) -> Part | None:
    first = part.raw[0]
    if position.unverified is not None:
        _verify(part.source, first, position)
    if position.next_offset is None or first.offset >= position.next_offset:
        return part
    return part.since(position.next_offset)


def _verify(source: Source, first: RawRecord, position: Position) -> None:
    known = position.next_offset is not None and first.offset == position.next_offset - 1
    if known and fingerprint(first) != position.unverified:
        raise PositionLost(
            f"{source.topic}[{source.partition}] holds another record at offset {first.offset} than the one that was "
            "applied: the topic was made anew, or another cluster is configured. Decide with `sluice progress`"
        )
    position.unverified = None


async def decode(decoders: Mapping[str, Decode], slices: Mapping[Source, Sequence[RawRecord]]) -> list[Part]:
    """Parts in order of their source; gives way to other tasks between slices."""
    parts = []
    for source in sorted(slices):
        part = Part(source, slices[source])
        decoder = decoders[source.topic]
        async for raws in portions(part.raw):
            _decode(part, raws, decoder)
        parts.append(part)
    return parts


def _decode(part: Part, raws: Sequence[RawRecord], decoder: Decode) -> None:
    source, records = part.source, part.records
    for raw in raws:
        value = decoder(raw.value) if len(raw.value or b"") <= MAX_VALUE_BYTES else _too_large(raw)
        if isinstance(value, BadRecord):
            part.dead.append(DeadLetter(source, raw, value.error))
        else:
            trace = _traceparent(raw) if raw.headers else None
            records.append(Record(source, raw.offset, _moment(raw.timestamp), raw.key, value, trace, raw))


def _too_large(raw: RawRecord) -> BadRecord:
    return BadRecord(f"value: {len(raw.value or b'')} bytes, at most {MAX_VALUE_BYTES}")


@lru_cache(maxsize=4096)
def _moment(timestamp_ms: int) -> datetime:
    return datetime.fromtimestamp(timestamp_ms / 1000, UTC)


def _traceparent(raw: RawRecord) -> bytes | None:
    for name, value in raw.headers:
        if name == "traceparent" and value is not None and len(value) <= _TRACEPARENT_BYTES:
            return value
    return None
