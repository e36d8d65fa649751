"""Reads back what was appended to compacted topics, and publishes again what a late writer left behind there.

A publisher that was paused may wake up and write an older revision after the newest one, or a record after a tombstone.
A key whose last record is older than its row, and has been for a whole round, is marked dirty: its row is published
again. Positions are kept in the database, and stay behind keys in doubt: a crash forgets no doubt.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka import errors as kafka
from asyncpg import Pool

from workers.errors import ExitCode, SetupError, Unreachable
from workers.runtime.batch import Connection, RawRecord
from workers.runtime.connection import Kafka
from workers.runtime.services import LEASE_S, Ticker, kept, new_holder, transaction
from workers.runtime.tasks import ended
from workers.runtime.telemetry import REPAIRED
from workers.store import leases, tails
from workers.store.failures import StoreFailure

_LONGEST_PAUSE_S: Final = 20.0
_KAFKA_S: Final = 10.0
_AT_ONCE: Final = 10_000
_UNREADABLE: Final = -1  # older than any row

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Tail:
    """A compacted topic. `read(key)` is the key as the other two take it, None if nobody here can have written it;
    `revisions(tx, keys)` tells those rows that exist, and `mark(tx, keys)` has the current rows published.
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
    """Whether a topic says less than the rows know, by the revisions of a key's last record and row; None: gone."""
    if row is None:
        return last is not None
    return last is None or last < row


def behind(read: Mapping[int, int], doubts: Collection[Last]) -> dict[int, int]:
    """Where to read on: after what was read, but not after a key in doubt."""
    return {p: min([offset, *(d.offset for d in doubts if d.partition == p)]) for p, offset in read.items()}


class TailReader:
    """Looks after one compacted topic, wherever it gets the lease; a service of the supervisor."""

    def __init__(self, tail: Tail, pool: Pool, cluster: Kafka, unreachable_after_s: float = 60.0) -> None:
        self.name = f"tail {tail.name}"
        self.consuming = asyncio.Event()
        self._tail = tail
        self._pool = pool
        self._cluster = cluster
        self._unreachable_after_s = unreachable_after_s
        self._failing_since: float | None = None
        self._holder = new_holder(self.name)
        self._doubts: dict[Any, Last] = {}
        self._ticker = Ticker(self._round, 1.0, unreachable_after_s)

    def stop(self) -> None:
        """After the round under way, if any."""
        self._ticker.stop()

    async def run(self) -> ExitCode:
        """Until stopped.

        Raises:
            Unreachable, SetupError: PostgreSQL or Kafka is gone, or refuses.
        """
        try:
            await self._ticker.run()
        finally:
            await self._give_back()
        return ExitCode.CLEAN

    async def _round(self) -> float:
        async with transaction(self._pool) as tx:
            due_in = await leases.take(tx, self.name, self._holder, LEASE_S, self._tail.every_seconds)
        self.consuming.set()
        if due_in is None or due_in > 0:
            return min(due_in or self._tail.every_seconds, _LONGEST_PAUSE_S)
        try:
            async with kept(self._pool, self._holder):
                await self._compare()
        except (kafka.TopicAuthorizationFailedError, kafka.ClusterAuthorizationFailedError) as error:
            raise SetupError(f"Kafka refuses to let us read {self._tail.name}: {error!r}") from error
        except (kafka.KafkaError, TimeoutError) as error:
            self._bear(error)
            return 1.0
        self._failing_since = None
        return min(self._tail.every_seconds, _LONGEST_PAUSE_S)

    def _bear(self, error: Exception) -> None:
        now = asyncio.get_running_loop().time()
        self._failing_since = self._failing_since or now
        if now - self._failing_since > self._unreachable_after_s:
            raise Unreachable(f"{self._tail.name} cannot be read: {error!r}") from error
        log.warning("A topic cannot be read back; trying again.", action="tail_not_read", error=repr(error))

    async def _compare(self) -> None:
        """One round: everything appended by now."""
        before, self._doubts = self._doubts, {}
        async with self._consumer() as consumer:
            ends = await self._begin(consumer)
            doubts: dict[Any, Last] = {}
            while not self._ticker.stopping:
                more = await self._append(consumer, ends, doubts)
                async with transaction(self._pool) as tx:
                    if await leases.take(tx, self.name, self._holder, LEASE_S) is None:
                        return
                    doubts = await self._outdated(tx, doubts)
                    certain = {key for key, last in doubts.items() if not more and before.get(key) == last}
                    if len(doubts) > _AT_ONCE:
                        certain = set(doubts)  # publishing some for nothing is better than remembering them all
                    doubts = {key: last for key, last in doubts.items() if key not in certain}
                    await self._mark(tx, certain)
                    read = {p.partition: await consumer.position(p) for p in ends}
                    await tails.move(tx, self._tail.name, behind(read, doubts.values()))
                    if not more:
                        await leases.ran(tx, self.name)
                if not more:
                    self._doubts = doubts
                    return

    async def _outdated(self, tx: Connection, last: Mapping[Any, Last]) -> dict[Any, Last]:
        if not last:
            return {}
        rows = await self._tail.revisions(tx, last.keys())
        return {key: found for key, found in last.items() if outdated(found.revision, rows.get(key))}

    async def _mark(self, tx: Connection, keys: Collection[Any]) -> None:
        if not keys:
            return
        await self._tail.mark(tx, keys)
        REPAIRED.labels(self._tail.name).inc(len(keys))
        log.warning(
            "The last records of some keys are older than their rows, which are published again.",
            action="tail_repaired",
            topic=self._tail.name,
            keys=len(keys),
        )

    @asynccontextmanager
    async def _consumer(self) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(
            self._cluster.topic(self._tail.name),
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            fetch_max_wait_ms=100,
            **self._cluster.clients("tail"),
        )
        try:
            async with asyncio.timeout(_KAFKA_S):
                await consumer.start()
            yield consumer
        finally:
            stopping = asyncio.create_task(consumer.stop())
            await asyncio.wait({stopping}, timeout=_KAFKA_S)
            await ended(stopping)

    async def _begin(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, int]:
        """Seeks to where the last round ended; returns the ends as of now."""
        async with transaction(self._pool) as tx:
            known = await tails.positions(tx, self._tail.name)
        async with asyncio.timeout(_KAFKA_S):
            begins = await consumer.beginning_offsets(consumer.assignment())
            ends: dict[TopicPartition, int] = await consumer.end_offsets(consumer.assignment())
        for partition, begin in begins.items():
            offset = known.get(partition.partition, begin)
            # Beyond the end: the topic was made anew.
            consumer.seek(partition, offset if begin <= offset <= ends[partition] else begin)
        return ends

    async def _append(
        self, consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int], last: dict[Any, Last]
    ) -> bool:
        """Adds the last record of each key in a bounded piece of what was appended; whether there is more."""
        room = _AT_ONCE
        while room > 0:
            if all([await consumer.position(p) >= end for p, end in ends.items()]):
                return False
            polled = await consumer.getmany(timeout_ms=int(_KAFKA_S * 1000), max_records=room)
            if not polled:
                return False  # what is missing is read in the next round
            for partition, records in polled.items():
                room -= len(records)
                self._remember(partition.partition, records, last)
        return True

    def _remember(self, partition: int, records: Collection[RawRecord], last: dict[Any, Last]) -> None:
        for record in records:
            key = self._tail.read(record.key) if record.key is not None else None
            if key is not None:
                last[key] = Last(partition, record.offset, _revision(record.value))

    async def _give_back(self) -> None:
        try:
            async with transaction(self._pool) as tx:
                await leases.release(tx, self._holder)
        except StoreFailure:
            log.warning("A tail's lease could not be given back; it expires.", action="not_released", tail=self.name)


class _Revised(msgspec.Struct, gc=False):
    revision: int


_REVISED: Final = msgspec.json.Decoder(_Revised)


def _revision(value: bytes | None) -> int | None:
    try:
        return _REVISED.decode(value).revision if value is not None else None
    except (msgspec.MsgspecError, ValueError):
        return _UNREADABLE
