"""Publishes rows and facts that no batch owes: the ordinary outbox, and the current rows of compacted topics.

A compacted topic is never written by a batch: one row changes from several partitions and workers, and revision 6 may
leave before 5. Batches mark the key dirty; whoever holds the topic's lease publishes the current row, awaits the
acknowledgement, and clears the mark if the revision is still the same.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from asyncpg import Pool

from workers.errors import ExitCode
from workers.runtime.batch import Connection, Fact
from workers.runtime.producer import KafkaOutput
from workers.runtime.services import LEASE_S, Ticker, connection, kept, new_holder, transaction
from workers.store import leases, outbox
from workers.store.failures import StoreFailure

_TICK_S: Final = 0.1
_IDLE_TICK_S: Final = 0.5
_LIMIT: Final = 500

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Current:
    """A dirty key's row as it is now, as the fact to publish; `mark` is what `clear` needs, revision included."""

    fact: Fact
    mark: object


@dataclass(frozen=True, slots=True)
class DirtyTopic:
    """`load(tx, limit)` reads the current rows of the first dirty keys, by key; `clear(tx, published)` clears the marks
    whose revision is still the one published. Both run in transactions of their own.
    """

    name: str
    load: Callable[[Connection, int], Awaitable[Sequence[Current]]]
    clear: Callable[[Connection, Sequence[Current]], Awaitable[None]]


class Publisher:
    """Publishes the outbox and the given compacted topics, wherever it gets the lease; a service of the supervisor."""

    def __init__(
        self, pool: Pool, output: KafkaOutput, topics: Sequence[DirtyTopic] = (), unreachable_after_s: float = 60.0
    ) -> None:
        self.name = "publisher"
        self.consuming = asyncio.Event()
        self._pool = pool
        self._output = output
        self._topics = topics
        self._holder = new_holder("publisher")
        self._pause_s = _TICK_S
        self._ticker = Ticker(self._round, _TICK_S, unreachable_after_s)

    def stop(self) -> None:
        """After the publication under way, if any."""
        self._ticker.stop()

    async def run(self) -> ExitCode:
        """Until stopped.

        Raises:
            Unreachable, SetupError: PostgreSQL or Kafka is gone, or refuses.
        """
        try:
            await self._ticker.run()
        finally:
            await self._output.stop()
            await self._give_back()
        return ExitCode.CLEAN

    async def _round(self) -> float:
        async with connection(self._pool) as asking:
            waiting = await outbox.waiting(asking)
        more = False
        for shard in waiting.shards:
            more |= await self._outbox(shard)
        for topic in self._topics:
            if topic.name in waiting.topics:
                more |= await self._dirty(topic)
        self.consuming.set()
        # While there is nothing to do, it is looked for less and less often.
        self._pause_s = _TICK_S if any(waiting) else min(_IDLE_TICK_S, self._pause_s * 1.2)
        return 0 if more else self._pause_s

    async def _outbox(self, shard: int) -> bool:
        if not await self._mine(f"outbox {shard}"):
            return False
        async with transaction(self._pool) as tx:
            rows = await outbox.of_shard(tx, shard, _LIMIT)
        await self._publish([fact for _, fact in rows])
        async with transaction(self._pool) as tx:
            await outbox.published(tx, [identity for identity, _ in rows])
        return len(rows) == _LIMIT

    async def _dirty(self, topic: DirtyTopic) -> bool:
        if not await self._mine(f"compacted {topic.name}"):
            return False
        async with transaction(self._pool) as tx:
            current = await topic.load(tx, _LIMIT)
        await self._publish([row.fact for row in current])
        async with transaction(self._pool) as tx:
            await topic.clear(tx, current)
        return len(current) == _LIMIT

    async def _publish(self, facts: Sequence[Fact]) -> None:
        # Nobody else publishes meanwhile, unless this process stands still. What it then publishes late is a repeat,
        # or an older row of a compacted topic, which the tail's reader repairs.
        async with kept(self._pool, self._holder):
            await self._output.publish(facts)

    async def _mine(self, lease: str) -> bool:
        async with transaction(self._pool) as tx:
            return await leases.take(tx, lease, self._holder, LEASE_S) is not None

    async def _give_back(self) -> None:
        try:
            async with transaction(self._pool) as tx:
                await leases.release(tx, self._holder)
        except StoreFailure:
            log.warning("The publisher's leases could not be given back; they expire.", action="not_released")
