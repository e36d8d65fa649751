"""Questions of an operator to Kafka, and what can go wrong with them in one sentence."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka import errors as kafka
from aiokafka.admin import AIOKafkaAdminClient

from workers.errors import SetupError, Unreachable
from workers.runtime.batch import Source
from workers.runtime.connection import Kafka

ANSWER_S: Final = 10.0
_REFUSED: Final = (
    *(kafka.TopicAuthorizationFailedError, kafka.ClusterAuthorizationFailedError, kafka.SaslAuthenticationFailed),
    *(kafka.GroupAuthorizationFailedError, kafka.InvalidTopicError, kafka.MessageSizeTooLargeError),
)


class Bounds(NamedTuple):
    """The first offset a partition still holds, and the one its next record will get."""

    begin: int
    end: int


@contextmanager
def told(cluster: Kafka) -> Iterator[None]:
    """Around a question.

    Raises:
        SetupError: Kafka refuses.
        Unreachable: it does not answer.
    """
    try:
        yield
    except _REFUSED as error:
        raise SetupError(f"Kafka refuses us: {error!r}") from error
    except (kafka.KafkaError, TimeoutError, OSError) as error:
        raise Unreachable(f"Kafka does not answer at SLUICE_KAFKA_BOOTSTRAP ({cluster.bootstrap})") from error


async def bounds(cluster: Kafka, topics: Sequence[str]) -> dict[Source, Bounds]:
    """What the partitions of the topics hold; topics that do not exist are left out.

    Raises:
        SetupError, Unreachable: see `told`.
    """
    async with _asked(cluster, topics) as (consumer, partitions):
        begins = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions)
        return {Source(cluster.name(p.topic), p.partition): Bounds(begins[p], ends[p]) for p in partitions}


async def offsets_at(cluster: Kafka, sources: Sequence[Source], moment: datetime) -> Mapping[Source, int | None]:
    """The first offset of each partition that Kafka got at or after a moment; None if it got nothing since.

    Raises:
        SetupError, Unreachable: see `told`.
    """
    async with _asked(cluster, sorted({source.topic for source in sources})) as (consumer, partitions):
        wanted = [p for p in partitions if Source(cluster.name(p.topic), p.partition) in set(sources)]
        found = await consumer.offsets_for_times({p: int(moment.timestamp() * 1000) for p in wanted})
        return {Source(cluster.name(p.topic), p.partition): at.offset if at else None for p, at in found.items()}


@asynccontextmanager
async def _asked(cluster: Kafka, topics: Sequence[str]) -> AsyncIterator[tuple[AIOKafkaConsumer, list[TopicPartition]]]:
    consumer = AIOKafkaConsumer(group_id=None, enable_auto_commit=False, **cluster.clients("asking"))
    with told(cluster):
        try:
            async with asyncio.timeout(ANSWER_S):
                await consumer.start()
                partitions = await _partitions(cluster, topics)
                consumer.assign(partitions)
                yield consumer, partitions
        finally:
            await consumer.stop()


async def _partitions(cluster: Kafka, topics: Sequence[str]) -> list[TopicPartition]:
    admin = AIOKafkaAdminClient(**cluster.clients("asking"))
    try:
        await admin.start()
        existing = set(await admin.list_topics())
        wanted = [name for name in map(cluster.topic, topics) if name in existing]
        described = await admin.describe_topics(wanted) if wanted else []
        return sorted(TopicPartition(t["topic"], p["partition"]) for t in described for p in t["partitions"])
    finally:
        await admin.close()
