"""Reads the ends of topics, without a group: for programs that tell what happens, as it happens.

What was read before is in memory alone: who starts reads a little of what the topics hold.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka import errors as kafka

from workers.process.production import AWAY, Cluster
from workers.process.tasks import ended

_POLL_MS: Final = 250
_RECORDS: Final = 500
_PARTITION_BYTES: Final = 256 * 1024
_FETCH_BYTES: Final = 4 * 1024 * 1024
_GATHER_S: Final = 0.05
_METADATA_MS: Final = 10_000
_AGAIN_S: Final = 1.0
_LEAVE_S: Final = 5.0

log = structlog.get_logger()


class Place(NamedTuple):
    """A partition; the topic without prefix."""

    topic: str
    partition: int


class Tailed(NamedTuple):
    """A record. `at_ms`: its Kafka time, in milliseconds since 1970. Of headers with one name the first counts."""

    place: Place
    offset: int
    at_ms: int
    value: bytes | None
    headers: Mapping[str, bytes | None]


Positions = Mapping[Place, int]
Take = Callable[[Sequence[Tailed], Positions], None]
"""Takes records and the offsets that follow them, of every partition. Records of one partition are in order."""
Begin = Callable[[Positions], None]
"""Called when reading begins at these offsets, and whenever records may have been left out: topics were made again."""


class Tail:
    """Reads all partitions of topics, at most `back` records of each partition before the end that it finds."""

    def __init__(self, cluster: Cluster, name: str, topics: Sequence[str], back: int) -> None:
        self._cluster = cluster
        self._name = name
        self._topics = {cluster.topic(topic): topic for topic in topics}
        self._back = back
        self._next: dict[TopicPartition, int] | None = None

    async def run(self, begin: Begin, take: Take) -> None:
        """Reads until cancelled. Goes on where it stopped when Kafka comes back, or when partitions are added."""
        while True:
            try:
                await self._read(begin, take)
            except (kafka.OffsetOutOfRangeError, kafka.CorruptRecordException) as error:
                log.warning("Goes on at the end of the topics.", action="tail_lost", error=repr(error))
                self._next, self._back = None, 0
            except AWAY as error:
                log.info("Kafka cannot be read now.", action="tail_away", error=repr(error))
            await asyncio.sleep(_AGAIN_S)

    async def _read(self, begin: Begin, take: Take) -> None:
        consumer = AIOKafkaConsumer(
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            max_poll_records=_RECORDS,
            max_partition_fetch_bytes=_PARTITION_BYTES,
            fetch_max_bytes=_FETCH_BYTES,
            fetch_max_wait_ms=_POLL_MS,
            metadata_max_age_ms=_METADATA_MS,
            **self._cluster.clients(self._name),
        )
        try:
            await consumer.start()
            await self._look(consumer)
            while True:
                partitions = self._partitions(consumer)
                if partitions != consumer.assignment():
                    await self._assign(consumer, partitions, begin)
                if partitions:
                    await self._poll(consumer, take)
                else:
                    await asyncio.sleep(_AGAIN_S)
        finally:
            leaving = asyncio.create_task(consumer.stop())
            await asyncio.wait({leaving}, timeout=_LEAVE_S)
            await ended(leaving)

    async def _look(self, consumer: AIOKafkaConsumer) -> None:
        """From then on the client asks about all topics now and then, also about those that do not exist."""
        if not await consumer._client.set_topics(list(self._topics)):  # noqa: SLF001 - `assign` asks about its own only
            raise kafka.KafkaError("no broker tells of the topics")

    def _partitions(self, consumer: AIOKafkaConsumer) -> frozenset[TopicPartition]:
        """Those that exist, and those that are read already: a topic that is away may come back."""
        known = {
            TopicPartition(topic, partition)
            for topic in self._topics
            for partition in consumer.partitions_for_topic(topic) or ()
        }
        return frozenset(known | consumer.assignment())

    async def _assign(self, consumer: AIOKafkaConsumer, partitions: frozenset[TopicPartition], begin: Begin) -> None:
        begins = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions)
        before, first = self._next or {}, self._next is None
        gone = any(not begins[one] <= offset <= ends[one] for one, offset in before.items() if one in begins)
        if first or gone:
            self._next = {one: max(begins[one], ends[one] - self._back) for one in partitions}
            begin(self._positions())
        else:  # what was added has not been read from its beginning
            self._next = {one: before.get(one, begins[one]) for one in partitions}
        consumer.assign(list(partitions))
        for one, offset in self._next.items():
            consumer.seek(one, offset)
        await self._look(consumer)

    async def _poll(self, consumer: AIOKafkaConsumer, take: Take) -> None:
        polled = await consumer.getmany(timeout_ms=_POLL_MS)
        assert self._next is not None  # noqa: S101 - what is polled is assigned
        for one in consumer.assignment():
            self._next[one] = await consumer.position(one)
        if not polled:
            return
        records = [self._tailed(record) for records in polled.values() for record in records]
        take(records, self._positions())
        if len(records) < _RECORDS:
            await asyncio.sleep(_GATHER_S)  # fewer and larger polls

    def _positions(self) -> Positions:
        return {Place(self._topics[one.topic], one.partition): offset for one, offset in (self._next or {}).items()}

    def _tailed(self, record: Any) -> Tailed:
        place = Place(self._topics[record.topic], record.partition)
        return Tailed(place, record.offset, record.timestamp, record.value, dict(reversed(record.headers)))
