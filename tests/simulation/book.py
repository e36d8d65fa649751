"""The worker of the simulation: it books every record, and tells of it on two topics.

Its table has no natural key, so a record that is applied twice stands there twice. Its outputs name the attempt that
computed them, so what was computed again is not what was committed before. A record's value is its number and a word:

    good      is booked
    bad       cannot be decoded
    refused   is refused by the database, whatever comes with it
    moody     is refused now and then
    heavy     is too much for a transaction that has two of them
    costly    is too much for any transaction
    deadly    ends the process
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from schemas.decoding import BadRecord
from schemas.ids import fact_id
from schemas.topics import SHARED_KEYS
from tests.simulation.database import Session
from tests.simulation.world import Death
from workers.records import Batch, Event, Headers, Output, Partition
from workers.runtime.worker_spec import WorkerSpec
from workers.store.failures import BadData, TooMuch

TOPIC: Final = "messages.inbound"
OUTPUTS: Final = ("messages.accepted", "sends.status")
"""Of the second, several partitions have facts about one key."""
SLOW: Final = 4
"""One in so many is too much for its time, the others for a limit."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A record of the input topic."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = field(default=())

    @property
    def word(self) -> str:
        return (self.value or b"").partition(b" ")[2].decode()


def decode(value: bytes | None) -> str | BadRecord:
    word = (value or b"").partition(b" ")[2].decode()
    return BadRecord("value: it is bad") if word == "bad" else word


async def apply(session: Session, batch: Batch[str]) -> list[Output]:
    """Rows and outputs; what the database refuses ends the statement, as it would there."""
    told = [fact for r in batch.records for fact in facts(r.source, r.offset, r.key or b"")]
    if shared := {key for topic, key, _ in told if topic in SHARED_KEYS}:
        await session.lock(shared)
    await weigh(session, batch)
    attempt = await session.statement("save")
    outputs: list[Output] = []
    for record in batch.records:
        if record.value == "refused" or (record.value == "moody" and session.in_a_mood()):
            raise BadData("the database refuses it")
        session.book(record.source, record.offset)
        value = b"%d by attempt %d" % (record.offset, attempt)
        for topic, key, ce_id in facts(record.source, record.offset, record.key or b""):
            outputs.append(Output(record.source, Event(topic, key, value, ce_id, "w", record.timestamp)))
    await session.statement("saved")
    return outputs


async def weigh(session: Session, batch: Batch[str]) -> None:
    """Ends the process, takes too long, or is refused: as the records want."""
    words = Counter(record.value for record in batch.records)
    for word in ("heavy", "costly", "deadly"):
        session.world.seen[word] += words[word]
    if words["deadly"]:
        session.process.die("a deadly record", Death.KILLED)
    if words["heavy"] > 1:
        raise TooMuch("two heavy records")
    if words["costly"]:
        if batch.records[0].offset % SLOW == 0:
            await asyncio.sleep(600)
        raise TooMuch("a costly record")


def facts(source: Partition, offset: int, key: bytes) -> Iterator[tuple[str, bytes, UUID]]:
    """Topic, key and `ce_id` of what one record brings about: of one in four nothing, else up to three facts."""
    for number in range(offset % 4):
        topic = OUTPUTS[number % 2]
        yield topic, b"send %d" % (offset % 3) if topic in SHARED_KEYS else key, _id(topic, source, offset, number)


@lru_cache(maxsize=65_536)
def _id(topic: str, source: Partition, offset: int, number: int) -> UUID:
    return fact_id(topic, str(source.partition), str(offset), str(number))


def spec() -> WorkerSpec:
    # The engine hands on whatever connection its ledger gives it.
    work: Any = apply
    return WorkerSpec("book", {TOPIC: decode}, work)
