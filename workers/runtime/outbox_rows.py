"""Turns what a worker returned into outbox rows: outputs and dead letters, by input partition. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from schemas.ids import fact_id
from schemas.limits import MAX_HEADERS_BYTES, MAX_KEY_BYTES
from schemas.outputs import ENCODER, DeadLetterReference, dead_letter_value
from schemas.topics import SHARED_KEYS
from workers.records import (
    DeadLetter,
    Event,
    OutboxKey,
    OutboxRow,
    Output,
    Partition,
    TopicKey,
    UnpublishedEvent,
    Unreadable,
)
from workers.rules.event_time import kafka_time_or
from workers.runtime.ports import Effects

DEAD_LETTERS: Final = "dead.letters"


def effects(
    outputs: Sequence[Output],
    dead: Sequence[DeadLetter],
    ends: Mapping[Partition, int],
    now: datetime,
    earlier: Iterable[UnpublishedEvent] = (),
) -> Effects:
    """All outbox rows of one transaction.

    `ends` are the next offsets that it advances to, `now` is its time, `earlier` are the unpublished events about the
    shared keys of its outputs.

    Raises:
        ValueError: an output names a partition that is not in the batch.
    """
    by_source: dict[Partition, list[Event]] = {}
    unpublished = _UnpublishedByKey(earlier)
    for output in outputs:
        events = by_source.setdefault(output.source, [])
        if output.event.topic in SHARED_KEYS:
            events += unpublished.in_order(output.source, output.event)
        else:
            events.append(output.event)
    for letter in dead:
        by_source.setdefault(letter.source, []).append(dead_letter(letter, now))
    foreign = by_source.keys() - ends.keys()
    if foreign:
        raise ValueError(f"outputs name partitions that are not in the batch: {sorted(foreign)}")
    outbox = [OutboxRow(OutboxKey(source, ends[source]), by_source[source]) for source in sorted(by_source)]
    return Effects(outbox, dead)


def shared_keys(events: Iterable[Event]) -> set[TopicKey]:
    """The keys for which other partitions and jobs may have unpublished events as well."""
    return {(event.topic, event.key or b"") for event in events if event.topic in SHARED_KEYS}


def events_in_order(events: Sequence[Event], earlier: Iterable[UnpublishedEvent]) -> list[Event]:
    """The events of a job, each one after the unpublished events about its key."""
    unpublished = _UnpublishedByKey(earlier)
    return [
        each
        for event in events
        for each in (unpublished.in_order(None, event) if event.topic in SHARED_KEYS else [event])
    ]


class _UnpublishedByKey:
    """The events about each shared key, in order, and the partitions whose rows hold them (None: the ordinary
    outbox).
    """

    def __init__(self, earlier: Iterable[UnpublishedEvent]) -> None:
        self._by_key: dict[TopicKey, dict[UUID, tuple[Event, set[Partition | None]]]] = {}
        for source, event in earlier:
            self._add(source, event)

    def in_order(self, source: Partition | None, event: Event) -> list[Event]:
        """The event, after those that the source's own rows lack. A copy is a repeat if it was published, and in order
        if not.
        """
        before = self._by_key.get((event.topic, event.key or b""), {})
        lacking = [known for known, holders in before.values() if source not in holders and known.ce_id != event.ce_id]
        for known in lacking:
            self._add(source, known)
        self._add(source, event)
        return [*lacking, event]

    def _add(self, source: Partition | None, event: Event) -> None:
        about = self._by_key.setdefault((event.topic, event.key or b""), {})
        about.setdefault(event.ce_id, (event, set()))[1].add(source)


def dead_letter(letter: DeadLetter, now: datetime) -> Event:
    """The record byte for byte, or a reference if it is too large. Error and source come first in its headers.

    Its time is the record's Kafka time, or `now` if that is out of range. A key or headers that exceed the topic's
    limit are left out; the stored dead letter has them.
    """
    source, raw = letter.source, letter.raw
    carried = raw.headers if sum(len(n.encode()) + len(v or b"") for n, v in raw.headers) <= MAX_HEADERS_BYTES else ()
    headers = (
        ("error", letter.error.encode()),
        ("source_topic", source.topic.encode()),
        ("source_partition", str(source.partition).encode()),
        ("source_offset", str(raw.offset).encode()),
        *(() if letter.last_offset is None else [("source_last_offset", str(letter.last_offset).encode())]),
        *((name, value) for name, value in carried),
    )
    return Event(
        DEAD_LETTERS,
        raw.key if len(raw.key or b"") <= MAX_KEY_BYTES else None,
        _value(letter),
        fact_id(DEAD_LETTERS, source.topic, str(source.partition), str(raw.offset)),
        "",
        kafka_time_or(raw.timestamp, now),
        None,
        headers,
    )


def _value(letter: DeadLetter) -> bytes | None:
    value = letter.raw.value
    if isinstance(letter.raw, Unreadable) and letter.raw.digest is not None:
        size, sha256, _ = letter.raw.digest
        return ENCODER.encode(DeadLetterReference(size=size, sha256=sha256))
    return None if value is None else dead_letter_value(value)
