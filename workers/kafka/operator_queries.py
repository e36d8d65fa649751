"""An operator's queries to Kafka, with each possible failure as one sentence."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import TopicAuthorizationFailedError

from workers.kafka.brokers import reached
from workers.kafka.connection import Kafka
from workers.kafka.failures import answers_explained
from workers.records import Partition

ANSWER_S: Final = 10.0
_AT_ONCE_S: Final = 2.0


class Bounds(NamedTuple):
    """The first offset that a partition still holds, and the offset of its next record."""

    begin: int
    end: int


async def bounds(cluster: Kafka, topics: Sequence[str]) -> dict[Partition, Bounds]:
    """The bounds of the partitions of the topics. Leaves out topics that do not exist.

    Raises:
        SetupError, Unreachable: see `answers_explained`.
    """
    async with _asked(cluster, topics) as (consumer, partitions):
        begins = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions)
        return {Partition(cluster.name(p.topic), p.partition): Bounds(begins[p], ends[p]) for p in partitions}


async def offsets_at(cluster: Kafka, sources: Sequence[Partition], moment: datetime) -> Mapping[Partition, int | None]:
    """The first offset of each partition with a Kafka timestamp at or after a time; None if there is none.

    Raises:
        SetupError, Unreachable: see `answers_explained`.
    """
    async with _asked(cluster, sorted({source.topic for source in sources})) as (consumer, partitions):
        wanted = [p for p in partitions if Partition(cluster.name(p.topic), p.partition) in set(sources)]
        found = await consumer.offsets_for_times({p: int(moment.timestamp() * 1000) for p in wanted})
        return {Partition(cluster.name(p.topic), p.partition): at.offset if at else None for p, at in found.items()}


async def timestamps(cluster: Kafka, offsets: Mapping[Partition, int]) -> dict[Partition, int]:
    """The Kafka timestamp, in milliseconds, of the first record at or after the offset of each partition. Leaves out
    what does not come at once, and everything if this login may not read.

    Raises:
        SetupError, Unreachable: see `answers_explained`.
    """
    found: dict[Partition, int] = {}
    consumer = AIOKafkaConsumer(
        group_id=None, enable_auto_commit=False, max_partition_fetch_bytes=1, **cluster.clients("asking")
    )
    with answers_explained(cluster):
        try:
            async with asyncio.timeout(ANSWER_S):
                await consumer.start()
                consumer.assign([cluster.partition(source) for source in offsets])
                for source, offset in offsets.items():
                    consumer.seek(cluster.partition(source), offset)
                await _read_one_of_each(consumer, cluster, len(offsets), found)
        except TopicAuthorizationFailedError:
            return {}
        finally:
            await consumer.stop()
    return found


async def _read_one_of_each(
    consumer: AIOKafkaConsumer, cluster: Kafka, number: int, found: dict[Partition, int]
) -> None:
    until = asyncio.get_running_loop().time() + _AT_ONCE_S
    while len(found) < number and (left := until - asyncio.get_running_loop().time()) > 0:
        for partition, records in (await consumer.getmany(timeout_ms=int(left * 1000) + 1)).items():
            if records:
                found.setdefault(cluster.source(partition), records[0].timestamp)
                consumer.pause(partition)


@asynccontextmanager
async def _asked(cluster: Kafka, topics: Sequence[str]) -> AsyncIterator[tuple[AIOKafkaConsumer, list[TopicPartition]]]:
    consumer = AIOKafkaConsumer(group_id=None, enable_auto_commit=False, **cluster.clients("asking"))
    with answers_explained(cluster):
        try:
            async with asyncio.timeout(ANSWER_S):
                partitions = await _partitions(cluster, topics)
                await consumer.start()
                consumer.assign(partitions)
                await asyncio.sleep(0)  # a consumer that is stopped before its tasks begin raises CancelledError
                yield consumer, partitions
        finally:
            await consumer.stop()


async def _partitions(cluster: Kafka, topics: Sequence[str]) -> list[TopicPartition]:
    async with administering(cluster, "asking") as admin:
        existing = set(await admin.list_topics())
        wanted = [name for name in map(cluster.topic, topics) if name in existing]
        described = await admin.describe_topics(wanted) if wanted else []
        return sorted(TopicPartition(t["topic"], p["partition"]) for t in described for p in t["partitions"])


@asynccontextmanager
async def administering(cluster: Kafka, name: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client that is connected inside the block. Raises as aiokafka, or `SetupError`."""
    admin = AIOKafkaAdminClient(**cluster.clients(name))
    try:
        async with asyncio.timeout(ANSWER_S):
            await reached(cluster)
            await admin.start()
        yield admin
    finally:
        await admin.close()
