"""Publishes what no batch publishes: the ordinary outbox, and the current rows of compacted topics.

A batch never writes to a compacted topic: one row changes from several partitions and workers, and revision 6 may leave
before 5. Batches mark the key as having unpublished changes. The holder of the topic's lease publishes the current row,
awaits the acknowledgement, and clears the mark if the revision is still the same.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from asyncpg import Pool

from workers.kafka.producer import KafkaOutput
from workers.records import Event
from workers.services.leased import LEASE_S, LeasedService, connection, keeping_leases, transaction
from workers.store import job_outbox, leases
from workers.store.connection import Connection

PUBLISHER: Final = "publisher"
_TICK_S: Final = 0.1
_IDLE_TICK_S: Final = 0.5
_LIMIT: Final = 500

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Current:
    """The present row of a marked key as the event to publish. `mark` is what `clear` needs, revision included."""

    event: Event
    mark: object


@dataclass(frozen=True, slots=True)
class CompactedTopic:
    """`load(tx, limit)` reads the present rows of the first marked keys, by key. `clear(tx, published)` clears the
    marks whose revision is still the published one. Both run in transactions of their own.
    """

    name: str
    load: Callable[[Connection, int], Awaitable[Sequence[Current]]]
    clear: Callable[[Connection, Sequence[Current]], Awaitable[None]]


class Publisher(LeasedService):
    """Publishes the outbox and the given compacted topics while it has the lease; a service of the supervisor."""

    def __init__(
        self, pool: Pool, output: KafkaOutput, topics: Sequence[CompactedTopic] = (), unreachable_after_s: float = 60.0
    ) -> None:
        super().__init__(PUBLISHER, pool, _TICK_S, unreachable_after_s)
        self._output = output
        self._topics = topics
        self._pause_s = _TICK_S

    async def _round(self) -> float:
        async with connection(self._pool) as asking:
            waiting = await job_outbox.waiting(asking)
        more = False
        for shard in waiting.shards:
            more |= await self._outbox(shard)
        for topic in self._topics:
            if topic.name in waiting.topics:
                more |= await self._unpublished(topic)
        self.consuming.set()
        # While there is no work, the pauses grow.
        self._pause_s = _TICK_S if any(waiting) else min(_IDLE_TICK_S, self._pause_s * 1.2)
        return 0 if more else self._pause_s

    async def _outbox(self, shard: int) -> bool:
        if not await self._mine(f"outbox {shard}"):
            return False
        async with transaction(self._pool) as tx:
            rows = await job_outbox.of_shard(tx, shard, _LIMIT)
        await self._publish([event for _, event in rows])
        async with transaction(self._pool) as tx:
            await job_outbox.published(tx, [identity for identity, _ in rows])
        return len(rows) == _LIMIT

    async def _unpublished(self, topic: CompactedTopic) -> bool:
        if not await self._mine(f"compacted {topic.name}"):
            return False
        async with transaction(self._pool) as tx:
            current = await topic.load(tx, _LIMIT)
        await self._publish([row.event for row in current])
        async with transaction(self._pool) as tx:
            await topic.clear(tx, current)
        return len(current) == _LIMIT

    async def _publish(self, events: Sequence[Event]) -> None:
        # No other process publishes meanwhile, unless this one was paused. What it then publishes late is a repeat, or
        # an older row of a compacted topic, which compaction repair corrects.
        async with keeping_leases(self._pool, self._holder):
            await self._output.publish(events)

    async def _mine(self, lease: str) -> bool:
        async with transaction(self._pool) as tx:
            return await leases.take(tx, lease, self._holder, LEASE_S) is not None

    async def _close(self) -> None:
        await self._output.stop()
        await super()._close()
