"""Produces input records a second time: the same key, value, headers and partition."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiokafka import AIOKafkaProducer

from workers.kafka.brokers import reached
from workers.kafka.connection import Kafka
from workers.kafka.failures import answers_explained
from workers.records import Headers, Partition

# Less than PostgreSQL's limit for an idle transaction: the record and its mark belong together.
_DEADLINE_S: Final = 8.0
_MOST_BYTES: Final = 2 * 1024 * 1024


class Replayer:
    """Produces one record at a time."""

    def __init__(self, cluster: Kafka, producer: AIOKafkaProducer) -> None:
        self._cluster = cluster
        self._producer = producer

    async def produce(self, source: Partition, key: bytes | None, value: bytes, headers: Headers) -> int:
        """Returns the new offset of the record once it is acknowledged.

        The record goes to its old partition, where the other records of its key are. If that partition no longer
        exists, Kafka's default choice for the key applies.

        Raises:
            Unreachable: it was not acknowledged in time; it may still be in the topic.
            SetupError: Kafka refuses it.
        """
        topic = self._cluster.topic(source.topic)
        with answers_explained(self._cluster):
            async with asyncio.timeout(_DEADLINE_S):
                known = await self._producer.partitions_for(topic)
                partition = source.partition if source.partition in known else None
                sending = await self._producer.send(topic, value, key, partition, headers=list(headers))
                return int((await sending).offset)


@asynccontextmanager
async def replayer(cluster: Kafka) -> AsyncIterator[Replayer]:
    """A `Replayer` that is connected inside the block.

    Raises:
        Unreachable, SetupError: Kafka does not answer, or refuses.
    """
    producer = AIOKafkaProducer(
        acks="all",
        max_request_size=_MOST_BYTES,
        request_timeout_ms=int(_DEADLINE_S * 1000),
        **cluster.clients("replay"),
    )
    try:
        with answers_explained(cluster):
            async with asyncio.timeout(_DEADLINE_S):
                await reached(cluster)
                await producer.start()
        yield Replayer(cluster, producer)
    finally:
        await producer.stop()
