"""A broker for tests: topics for each test, records in, records out."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    NotLeaderForPartitionError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.produce import ProduceRequest
from asyncpg import Pool

from workers.dev.broker import PARTITIONS
from workers.kafka.connection import Kafka

PATIENCE_S: Final = 30.0
"""How long a wait on something observable may take before the test fails."""


class Sent(NamedTuple):
    """Where a record ended up."""

    partition: int
    offset: int


class Read(NamedTuple):
    """A record as read back. `timestamp` is in milliseconds."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]

    def header(self, name: str) -> bytes | None:
        """The first header of that name; None if there is none."""
        return next((value for key, value in self.headers if key == name), None)


@dataclass(frozen=True)
class Broker:
    """`kind` is `embedded` or `kafka`. Names of topics and groups are a test's own through the prefixes."""

    kind: str
    bootstrap: str
    topic_prefix: str = ""
    group_prefix: str = "sluice"

    def cluster(self, session_timeout_ms: int | None = None) -> Kafka:
        """The connection a worker gets.

        The embedded broker makes a group that was left wait for almost a session time-out: there it is short.
        """
        default = 3_000 if self.kind == "embedded" else 30_000
        return Kafka(self.bootstrap, self.topic_prefix, session_timeout_ms or default)

    async def create(
        self, *topics: str, partitions: int = PARTITIONS, configs: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Makes topics, so that no worker meets a missing one. The embedded broker always makes four partitions."""
        if self.kind == "embedded":
            async with self.producer() as producer:
                for topic in topics:
                    await producer.partitions_for(self.topic_prefix + topic)
            return
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            told = {"max.message.bytes": "2097152", **configs}
            new = [NewTopic(self.topic_prefix + t, partitions, 1, topic_configs=told) for t in topics]
            await admin.create_topics(new)
            # The answer comes from the controller; the broker itself may learn of it a moment later.
            while {topic.name for topic in new} - set(await admin.list_topics()):  # noqa: ASYNC110 - nothing to wait on
                await asyncio.sleep(0.02)
        finally:
            await admin.close()

    async def remake(self, topic: str, partitions: int = PARTITIONS) -> None:
        """Deletes a topic and makes it again. Only for real Kafka."""
        await self.delete(topic)
        while True:
            try:
                return await self.create(topic, partitions=partitions)
            except TopicAlreadyExistsError:
                await asyncio.sleep(0.1)

    async def delete(self, topic: str) -> None:
        """Deletes a topic. Only for real Kafka."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            await admin.delete_topics([self.topic_prefix + topic])
        finally:
            await admin.close()

    async def produce(
        self,
        topic: str,
        records: Iterable[tuple[bytes | None, bytes | None]],
        *,
        partition: int | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> list[Sent]:
        """Writes (key, value) records in order; returns where each of them is."""
        async with self.producer() as producer:
            waiting = [
                await producer.send(
                    self.topic_prefix + topic,
                    value,
                    key if key is not None or value is not None else b"",
                    partition,
                    headers=list(headers),
                )
                for key, value in records
            ]
            return [Sent(done.partition, done.offset) for done in await asyncio.gather(*waiting)]

    async def produce_batch(self, topic: str, batch: bytes, *, partition: int = 0) -> int:
        """Sends a batch as it is, whatever is in it; returns the offset its first record got."""
        name = self.topic_prefix + topic
        async with self.producer() as producer:
            await producer.partitions_for(name)
            request = ProduceRequest(None, -1, 10_000, [(name, [(partition, batch)])])
            while True:
                node = producer.client.cluster.leader_for_partition(TopicPartition(name, partition))
                answer = await producer.client.send(node, request)
                [(_, [(_, code, offset, *_)])] = answer.topics
                if code not in (NotLeaderForPartitionError.errno, UnknownTopicOrPartitionError.errno):
                    break
                await producer.client.force_metadata_update()
        if code:
            raise ValueError(f"the broker refuses the batch: {for_code(code).__name__}")
        return int(offset)

    async def read(self, topic: str, count: int, *, timeout_s: float = PATIENCE_S) -> list[Read]:
        """The first `count` records of a topic, by offset within each partition; waits for them.

        Raises:
            TimeoutError: fewer came.
        """
        found: list[Read] = []
        async with self._consumer(topic) as consumer:
            try:
                async with asyncio.timeout(timeout_s):
                    while len(found) < count:
                        for records in (await consumer.getmany(timeout_ms=100)).values():
                            found.extend(_read(record) for record in records)
            except TimeoutError as error:
                raise TimeoutError(f"{topic}: {len(found)} of {count} records came") from error
        return found

    async def read_all(self, topic: str, *, timeout_s: float = PATIENCE_S) -> list[Read]:
        """Everything a topic holds now; of a compacted one, what is left of it.

        Raises:
            TimeoutError: it cannot be read in time.
        """
        found: list[Read] = []
        async with self._consumer(topic) as consumer, asyncio.timeout(timeout_s):
            ends = await consumer.end_offsets(consumer.assignment())
            while any([await consumer.position(p) < end for p, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    found.extend(_read(record) for record in records if record.offset < ends[_partition(record)])
        return found

    async def ends(self, topic: str) -> dict[int, int]:
        """The offset the next record of each partition will get."""
        async with self._consumer(topic) as consumer:
            return {p.partition: end for p, end in (await consumer.end_offsets(consumer.assignment())).items()}

    async def committed(self, group: str, topic: str) -> dict[int, int]:
        """What a consumer group has committed, by partition; partitions without are left out."""
        partitions = [TopicPartition(self.topic_prefix + topic, p) for p in await self.ends(topic)]
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            offsets = await admin.list_consumer_group_offsets(group, partitions=partitions)
        finally:
            await admin.close()
        return {partition.partition: o.offset for partition, o in offsets.items() if o.offset >= 0}

    async def caught_up(self, pool: Pool, *topics: str, timeout_s: float = PATIENCE_S) -> None:
        """Waits until every record that the topics hold now is applied and its outputs are published.

        Raises:
            TimeoutError: it took too long.
        """
        wanted = {(t, p): end for t in topics for p, end in (await self.ends(t)).items() if end}
        query = "SELECT topic, partition, next_offset FROM sluice.partition_progress"
        async with asyncio.timeout(timeout_s):
            while True:
                rows = {(r["topic"], r["partition"]): r["next_offset"] for r in await pool.fetch(query)}
                owed = await pool.fetchval(
                    "SELECT count(*) FROM sluice_core.batch_outbox WHERE topic = ANY($1)", list(topics)
                )
                if not owed and all(rows.get(where, 0) >= end for where, end in wanted.items()):
                    return
                await asyncio.sleep(0.02)

    @asynccontextmanager
    async def producer(self, **options: Any) -> AsyncIterator[Any]:
        """A started aiokafka producer; `options` are its arguments."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self.bootstrap, acks="all", max_request_size=2 * 1024 * 1024, **options
        )
        try:
            await producer.start()
            yield producer
        finally:
            await producer.stop()

    @asynccontextmanager
    async def _consumer(self, topic: str) -> AsyncIterator[Any]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap, auto_offset_reset="earliest")
        try:
            await consumer.start()
            name = self.topic_prefix + topic
            async with self.producer() as asking:
                consumer.assign([TopicPartition(name, p) for p in sorted(await asking.partitions_for(name))])
            await consumer.seek_to_beginning()
            yield consumer
        finally:
            await consumer.stop()


def _partition(record: Any) -> TopicPartition:
    return TopicPartition(record.topic, record.partition)


def _read(record: Any) -> Read:
    return Read(record.partition, record.offset, record.timestamp, record.key, record.value, tuple(record.headers))
