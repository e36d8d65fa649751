"""Input records produced a second time: key, value and headers as they were, and where they were."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiokafka import AIOKafkaProducer

from workers.runtime.asking import told
from workers.runtime.batch import Headers, Source
from workers.runtime.connection import Kafka

# Less than the time PostgreSQL lets a transaction stand still: the record and its mark belong together.
_DEADLINE_S: Final = 8.0
_MOST_BYTES: Final = 2 * 1024 * 1024


class Replayer:
    """Produces one record at a time."""

    def __init__(self, cluster: Kafka, producer: AIOKafkaProducer) -> None:
        self._cluster = cluster
        self._producer = producer

    async def produce(self, source: Source, key: bytes | None, value: bytes, headers: Headers) -> int:
        """Returns the record's new offset once it is acknowledged. It goes to the partition it came from, where the
        other records of its key are; if there is no such partition any more, to the one Kafka chooses for its key.

        Raises:
            Unreachable: it was not acknowledged in time; it may be in the topic all the same.
            SetupError: Kafka refuses it.
        """
        topic = self._cluster.topic(source.topic)
        with told(self._cluster):
            async with asyncio.timeout(_DEADLINE_S):
                known = await self._producer.partitions_for(topic)
                partition = source.partition if source.partition in known else None
                sending = await self._producer.send(topic, value, key, partition, headers=list(headers))
                return int((await sending).offset)


@asynccontextmanager
async def replayer(cluster: Kafka) -> AsyncIterator[Replayer]:
    """Connected while the block lasts.

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
        with told(cluster):
            async with asyncio.timeout(_DEADLINE_S):
                await producer.start()
        yield Replayer(cluster, producer)
    finally:
        await producer.stop()
