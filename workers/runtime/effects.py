"""From what a worker returned to what the engine owes: outputs and dead letters, by input partition. Pure."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import msgspec

from schemas.ids import fact_id
from schemas.limits import MAX_DEAD_LETTER_BYTES, MAX_HEADERS_BYTES, MAX_KEY_BYTES
from schemas.outputs import DeadLetterReference
from workers.runtime.batch import Fact, Output, Source
from workers.runtime.ports import DeadLetter, Earlier, Effects, Owed, OwedKey, TopicKey

DEAD_LETTERS: Final = "dead.letters"


SHARED: Final = frozenset({"messages.revised", "sends.status", "workflows.control"})
"""Topics with keys that several input partitions and jobs have facts about. Each partition's facts are published in
order, but nobody waits for another partition's: so a fact about such a key takes along what is owed about it already.
"""


def effects(
    outputs: Sequence[Output], dead: Sequence[DeadLetter], ends: Mapping[Source, int], earlier: Iterable[Earlier] = ()
) -> Effects:
    """Everything one transaction owes; `ends` are the next offsets it advances to, `earlier` is what is owed about the
    shared keys of its outputs.

    Raises:
        ValueError: an output names a partition that is no part of the batch.
    """
    by_source: dict[Source, list[Fact]] = {}
    story = _Story(earlier)
    for output in outputs:
        told = by_source.setdefault(output.source, [])
        if output.fact.topic in SHARED:
            told += story.told(output.source, output.fact)
        else:
            told.append(output.fact)
    for letter in dead:
        by_source.setdefault(letter.source, []).append(dead_letter(letter))
    foreign = by_source.keys() - ends.keys()
    if foreign:
        raise ValueError(f"outputs name partitions that are not in the batch: {sorted(foreign)}")
    owed = [Owed(OwedKey(source, ends[source]), by_source[source]) for source in sorted(by_source)]
    return Effects(owed, dead)


def shared_keys(facts: Iterable[Fact]) -> set[TopicKey]:
    """The keys that others may owe facts about as well."""
    return {(fact.topic, fact.key or b"") for fact in facts if fact.topic in SHARED}


def facts_in_order(facts: Sequence[Fact], earlier: Iterable[Earlier]) -> list[Fact]:
    """The facts of a job, each after what is owed about its key already."""
    story = _Story(earlier)
    return [told for fact in facts for told in (story.told(None, fact) if fact.topic in SHARED else [fact])]


class _Story:
    """What was told about each shared key, in order, and which partitions' rows hold it (None: the outbox)."""

    def __init__(self, earlier: Iterable[Earlier]) -> None:
        self._told: dict[TopicKey, dict[UUID, tuple[Fact, set[Source | None]]]] = {}
        for source, fact in earlier:
            self._add(source, fact)

    def told(self, source: Source | None, fact: Fact) -> list[Fact]:
        """The fact, after what the source's own rows lack: a repeat if that was published, in order if not."""
        before = self._told.get((fact.topic, fact.key or b""), {})
        lacking = [known for known, holders in before.values() if source not in holders and known.ce_id != fact.ce_id]
        for known in lacking:
            self._add(source, known)
        self._add(source, fact)
        return [*lacking, fact]

    def _add(self, source: Source | None, fact: Fact) -> None:
        about = self._told.setdefault((fact.topic, fact.key or b""), {})
        about.setdefault(fact.ce_id, (fact, set()))[1].add(source)


def dead_letter(letter: DeadLetter) -> Fact:
    """The record byte for byte, or a reference when it is too large; why and whence come first in its headers.

    A key or headers that alone may be more than a topic takes are left out: the stored dead letter has them.
    """
    source, raw = letter.source, letter.raw
    carried = raw.headers if sum(len(n.encode()) + len(v or b"") for n, v in raw.headers) <= MAX_HEADERS_BYTES else ()
    headers = (
        ("error", letter.error.encode()),
        ("source_topic", source.topic.encode()),
        ("source_partition", str(source.partition).encode()),
        ("source_offset", str(raw.offset).encode()),
        *((name, value) for name, value in carried),
    )
    return Fact(
        DEAD_LETTERS,
        raw.key if len(raw.key or b"") <= MAX_KEY_BYTES else None,
        _value(letter),
        fact_id(DEAD_LETTERS, source.topic, str(source.partition), str(raw.offset)),
        "",
        datetime.fromtimestamp(raw.timestamp / 1000, UTC),
        None,
        headers,
    )


def _value(letter: DeadLetter) -> bytes | None:
    value = letter.raw.value
    if value is None or len(value) <= MAX_DEAD_LETTER_BYTES:
        return value
    return msgspec.json.encode(DeadLetterReference(size=len(value), sha256=hashlib.sha256(value).hexdigest()))
