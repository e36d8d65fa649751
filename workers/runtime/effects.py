"""From what a worker returned to what the engine owes: outputs and dead letters, by input partition. Pure."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from schemas.ids import fact_id
from schemas.limits import MAX_DEAD_LETTER_BYTES
from schemas.outputs import DeadLetterReference
from workers.runtime.batch import Fact, Output, Source
from workers.runtime.ports import DeadLetter, Effects, Message, Owed, OwedKey

DEAD_LETTERS: Final = "dead.letters"


def effects(outputs: Sequence[Output], dead: Sequence[DeadLetter], ends: Mapping[Source, int]) -> Effects:
    """Everything one transaction owes; `ends` are the next offsets it advances to.

    Raises:
        ValueError: an output names a partition that is no part of the batch.
    """
    by_source: dict[Source, list[Message]] = {}
    for output in outputs:
        by_source.setdefault(output.source, []).append(message(output))
    for letter in dead:
        by_source.setdefault(letter.source, []).append(dead_letter(letter))
    foreign = by_source.keys() - ends.keys()
    if foreign:
        raise ValueError(f"outputs name partitions that are not in the batch: {sorted(foreign)}")
    owed = [Owed(OwedKey(source, ends[source]), by_source[source]) for source in sorted(by_source)]
    return Effects(owed, dead)


def message(output: Output) -> Message:
    return Message(
        output.topic,
        output.key,
        output.value,
        output.ce_id,
        output.workspace_id,
        output.time,
        output.traceparent,
    )


def dead_letter(letter: DeadLetter) -> Message:
    """The record byte for byte, or a reference when it is too large; why and whence come first in its headers."""
    source, raw = letter.source, letter.raw
    headers = (
        ("error", letter.error.encode()),
        ("source_topic", source.topic.encode()),
        ("source_partition", str(source.partition).encode()),
        ("source_offset", str(raw.offset).encode()),
        *((name, value) for name, value in raw.headers),
    )
    return Message(
        DEAD_LETTERS,
        raw.key,
        _value(letter),
        fact_id(DEAD_LETTERS, source.topic, str(source.partition), str(raw.offset)),
        "",
        datetime.fromtimestamp(raw.timestamp / 1000, UTC),
        None,
        headers,
    )


def dead_letter_fact(letter: DeadLetter) -> Fact:
    """The same, for a job: no poll owes it."""
    return Fact(*dead_letter(letter))


def _value(letter: DeadLetter) -> bytes | None:
    value = letter.raw.value
    if value is None or len(value) <= MAX_DEAD_LETTER_BYTES:
        return value
    return msgspec.json.encode(DeadLetterReference(size=len(value), sha256=hashlib.sha256(value).hexdigest()))
