"""Compaction repair: reads compacted topics back, and publishes again what a late writer overwrote.

A publisher that was paused may wake up and write an older revision after the newest one, or a record after a tombstone.
If the last record of a key is older than its row for a whole round, the key is marked as having unpublished changes,
and its row is published again. Positions are stored in the database and stay behind keys that must be checked again, so
a crash skips none.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from asyncpg import Pool

from workers.kafka.connection import Kafka
from workers.kafka.failures import AWAY, refusals_explained
from workers.kafka.fetching import Fetching
from workers.kafka.topic_ids import TopicIds
from workers.process.failure_deadline import FailureDeadline
from workers.process.metrics.of_workers import REPAIRED
from workers.process.tasks import ended
from workers.records import RawRecord
from workers.services.leased import LEASE_S, LeasedService, keeping_leases, transaction
from workers.store import compacted_topics, leases
from workers.store.connection import Connection

_LONGEST_PAUSE_S: Final = 20.0
_KAFKA_S: Final = 10.0
_AT_ONCE: Final = 10_000
_BYTES_AT_ONCE: Final = 8 * 1024 * 1024
_UNREADABLE: Final = -1  # older than any row

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RepairedTopic:
    """A compacted topic as compaction repair sees it.

    `read(key)` is the key as the other two take it, None if Sluice cannot have written it. `revisions(tx, keys)`
    returns the revisions of the rows that exist. `mark(tx, keys)` marks the rows to be published.
    """

    name: str
    read: Callable[[bytes], Any | None]
    revisions: Callable[[Connection, Collection[Any]], Awaitable[Mapping[Any, int]]]
    mark: Callable[[Connection, Collection[Any]], Awaitable[None]]
    every_seconds: float = 15.0


class Last(NamedTuple):
    """The last record of a key; `revision` is None for a tombstone."""

    partition: int
    offset: int
    revision: int | None


def outdated(last: int | None, row: int | None) -> bool:
    """Whether the topic is behind the rows, by the revisions of a key's last record and of its row. None: deleted."""
    if row is None:
        return last is not None
    return last is None or last < row


def behind(read: Mapping[int, int], suspects: Collection[Last]) -> dict[int, int]:
    """Where to continue: after what was read, but not after a key that must be checked again."""
    return {p: min([offset, *(d.offset for d in suspects if d.partition == p)]) for p, offset in read.items()}


class CompactionRepair(LeasedService):
    """Repairs one compacted topic while it has the lease; a service of the supervisor."""

    def __init__(self, topic: RepairedTopic, pool: Pool, cluster: Kafka, unreachable_after_s: float = 60.0) -> None:
        super().__init__(f"compaction repair {topic.name}", pool, 1.0, unreachable_after_s)
        self._topic = topic
        self._cluster = cluster
        self._deadline = FailureDeadline(unreachable_after_s, f"{topic.name} could not be read")
        self._suspects: dict[Any, Last] = {}

    async def _round(self) -> float:
        async with transaction(self._pool) as tx:
            due_in = await leases.take(tx, self.name, self._holder, LEASE_S, self._topic.every_seconds)
        self.consuming.set()
        if due_in is None or due_in > 0:
            return min(due_in or self._topic.every_seconds, _LONGEST_PAUSE_S)
        try:
            with refusals_explained(f"to let us read {self._topic.name}"):
                async with keeping_leases(self._pool, self._holder):
                    await self._compare()
        except AWAY as error:
            self._deadline.failed_with(error)
            log.debug(
                "A topic cannot be read back; trying again.", action="compacted_topic_not_read", error=repr(error)
            )
            return 1.0
        self._deadline.answered()
        return min(self._topic.every_seconds, _LONGEST_PAUSE_S)

    async def _compare(self) -> None:
        """One round: everything that was appended by now."""
        before, self._suspects = self._suspects, {}
        async with self._consumer() as consumer:
            ends = await self._begin(consumer)
            suspects: dict[Any, Last] = {}
            while not self._stop.is_set():
                more = await self._append(consumer, ends, suspects)
                async with transaction(self._pool) as tx:
                    if await leases.take(tx, self.name, self._holder, LEASE_S) is None:
                        return
                    suspects = await self._outdated(tx, suspects)
                    certain = {key for key, last in suspects.items() if not more and before.get(key) == last}
                    if len(suspects) > _AT_ONCE:
                        certain = set(suspects)  # to publish some without need is better than to remember all
                    suspects = {key: last for key, last in suspects.items() if key not in certain}
                    await self._mark(tx, certain)
                    read = {p.partition: await consumer.position(p) for p in ends}
                    await compacted_topics.move(tx, self._topic.name, behind(read, suspects.values()))
                    if not more:
                        await leases.ran(tx, self.name)
                if not more:
                    self._suspects = suspects
                    return

    async def _outdated(self, tx: Connection, last: Mapping[Any, Last]) -> dict[Any, Last]:
        if not last:
            return {}
        rows = await self._topic.revisions(tx, last.keys())
        return {key: found for key, found in last.items() if outdated(found.revision, rows.get(key))}

    async def _mark(self, tx: Connection, keys: Collection[Any]) -> None:
        if not keys:
            return
        await self._topic.mark(tx, keys)
        REPAIRED.labels(self._topic.name).inc(len(keys))
        log.warning(
            "The last records of some keys are older than their rows, which are published again.",
            action="compacted_topic_repaired",
            topic=self._topic.name,
            keys=len(keys),
        )

    @asynccontextmanager
    async def _consumer(self) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(
            self._cluster.topic(self._topic.name),
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            fetch_max_wait_ms=100,
            **self._cluster.clients("compaction-repair"),
        )
        try:
            async with asyncio.timeout(_KAFKA_S):
                await consumer.start()
            Fetching(consumer, _BYTES_AT_ONCE, TopicIds(consumer))
            yield consumer
        finally:
            stopping = asyncio.create_task(consumer.stop())
            await asyncio.wait({stopping}, timeout=_KAFKA_S)
            await ended(stopping)

    async def _begin(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, int]:
        """Seeks to the end of the last round. Returns the present ends."""
        async with transaction(self._pool) as tx:
            known = await compacted_topics.positions(tx, self._topic.name)
        async with asyncio.timeout(_KAFKA_S):
            begins = await consumer.beginning_offsets(consumer.assignment())
            ends: dict[TopicPartition, int] = await consumer.end_offsets(consumer.assignment())
        for partition, begin in begins.items():
            offset = known.get(partition.partition, begin)
            # Beyond the end: the topic was created again.
            consumer.seek(partition, offset if begin <= offset <= ends[partition] else begin)
        return ends

    async def _append(
        self, consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int], last: dict[Any, Last]
    ) -> bool:
        """Adds the last record of each key in a bounded part of what was appended. Returns whether there is more."""
        left = _AT_ONCE
        while left > 0:
            if all([await consumer.position(p) >= end for p, end in ends.items()]):
                return False
            polled = await consumer.getmany(timeout_ms=int(_KAFKA_S * 1000), max_records=left)
            if not polled:
                return False  # the next round reads what is missing
            for partition, records in polled.items():
                left -= len(records)
                self._remember(partition.partition, records, last)
        return True

    def _remember(self, partition: int, records: Collection[RawRecord], last: dict[Any, Last]) -> None:
        for record in records:
            key = self._topic.read(record.key) if record.key is not None else None
            if key is not None:
                last[key] = Last(partition, record.offset, _revision(record.value))


class _Revised(msgspec.Struct, gc=False):
    revision: int


_REVISED: Final = msgspec.json.Decoder(_Revised)


def _revision(value: bytes | None) -> int | None:
    try:
        return _REVISED.decode(value).revision if value is not None else None
    except (msgspec.MsgspecError, ValueError):
        return _UNREADABLE
