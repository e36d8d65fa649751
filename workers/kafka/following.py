"""Follows an output topic in a consumer group, at least once: for programs beside Sluice, without leases and fences.

An offset is committed once the records before it were taken. aiokafka breaks a consumer whose `getmany` is cancelled:
polls are short, and never cancelled but at the end.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka import errors as kafka

from workers.errors import SetupError
from workers.kafka.connection import Kafka, PollLimits
from workers.kafka.failures import AWAY, answers_explained, refusals_explained
from workers.kafka.operator_queries import administering
from workers.process.tasks import ended, unless_stopped

_POLL_MS: Final = 250
_LEAVE_S: Final = 10.0

log = structlog.get_logger()


class Followed(NamedTuple):
    """A record of an output topic. Of headers with one name the first counts."""

    partition: int
    offset: int
    value: bytes | None
    headers: Mapping[str, bytes | None]


Take = Callable[[Sequence[Followed]], Coroutine[Any, Any, None]]
"""Takes records of one partition, in order. Called at the same time for several partitions. It may be cancelled."""


class Following(ConsumerRebalanceListener):
    """A member of a group that reads one topic, from its first record on."""

    def __init__(self, cluster: Kafka, group: str, topic: str, limits: PollLimits) -> None:
        self._cluster = cluster
        self._group = group
        self._topic = topic
        self._limits = limits
        self._joined = False
        self._ends: Mapping[TopicPartition, int] | None = None
        self.caught_up = asyncio.Event()
        """Set once all is taken that the partitions of this member held when it joined."""

    async def run(self, take: Take, stop: asyncio.Event) -> None:
        """Reads until stopped. What `take` had not finished by then comes again.

        Raises:
            SetupError: the topic does not exist, or Kafka refuses.
            Unreachable: Kafka does not answer at the start.
        """
        with answers_explained(self._cluster):
            async with administering(self._cluster, "following") as admin:
                if self._cluster.topic(self._topic) not in await admin.list_topics():
                    raise SetupError(f"there is no topic {self._cluster.topic(self._topic)}: run `sluice topics`")
        consumer = AIOKafkaConsumer(
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            session_timeout_ms=self._cluster.session_timeout_ms,
            heartbeat_interval_ms=min(3_000, self._cluster.session_timeout_ms // 3),
            max_poll_interval_ms=2**31 - 1,  # a program that waits for its engine is no dead member
            **self._limits.consumer(),
            **self._cluster.clients(self._group),
        )
        try:
            with answers_explained(self._cluster):
                await consumer.start()
            consumer.subscribe(topics=[self._cluster.topic(self._topic)], listener=self)
            while not stop.is_set():
                await self._step(consumer, take, stop)
        finally:
            leaving = asyncio.create_task(consumer.stop())
            await asyncio.wait({leaving}, timeout=_LEAVE_S)
            await ended(leaving)

    async def _step(self, consumer: AIOKafkaConsumer, take: Take, stop: asyncio.Event) -> None:
        with refusals_explained("reads"):
            polled = await consumer.getmany(timeout_ms=_POLL_MS)
            if polled:
                if not await unless_stopped(_take_all(take, list(polled.values())), stop):
                    return
                await self._commit(consumer, {p: records[-1].offset + 1 for p, records in polled.items()})
            if self._joined and not self.caught_up.is_set():
                await self._look(consumer)

    async def _commit(self, consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]) -> None:
        try:
            with refusals_explained("commits"):
                await consumer.commit(dict(ends))
        except kafka.KafkaError as error:
            # Kafka is away, or a partition has another reader by now: its records come again.
            log.info("Offsets were not committed.", action="not_committed", group=self._group, error=repr(error))

    async def _look(self, consumer: AIOKafkaConsumer) -> None:
        with suppress(*AWAY):
            assigned = consumer.assignment()
            if self._ends is None:
                self._ends = await consumer.end_offsets(assigned) if assigned else {}
            if all([await consumer.position(p) >= end for p, end in self._ends.items()]):
                self.caught_up.set()

    # aiokafka's coordinator calls these.

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:  # noqa: ARG002
        self._joined, self._ends = False, None

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        self._joined = True
        log.info("Reading.", action="assigned", group=self._group, partitions=len(assigned))


async def _take_all(take: Take, polled: Sequence[Sequence[Any]]) -> None:
    tasks = [asyncio.create_task(take([_followed(record) for record in records])) for records in polled]
    try:
        for task in tasks:
            await task
    finally:
        await ended(*tasks)


def _followed(record: Any) -> Followed:
    return Followed(record.partition, record.offset, record.value, dict(reversed(record.headers)))
