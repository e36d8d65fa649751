"""Produces records of the command line to an input topic: many at once, in order for each key."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from aiokafka import AIOKafkaProducer

from schemas.limits import MAX_VALUE_BYTES
from workers.errors import SetupError
from workers.kafka.brokers import reached
from workers.kafka.connection import Kafka
from workers.kafka.failures import answers_explained

COMMANDS: Final = "contacts.commands"
_DEADLINE_S: Final = 20.0


class CommandTopic:
    """An input topic, by default `contacts.commands`."""

    def __init__(self, cluster: Kafka, producer: AIOKafkaProducer, topic: str = COMMANDS) -> None:
        self._cluster = cluster
        self._producer = producer
        self._topic = topic

    async def produce(self, records: Sequence[tuple[bytes, bytes]]) -> None:
        """Returns once all (key, value) records are acknowledged. The partition follows from the key.

        Raises:
            Unreachable: they were not acknowledged in time; they may be in the topic.
            SetupError: Kafka refuses them.
        """
        topic = self._cluster.topic(self._topic)
        with answers_explained(self._cluster):
            async with asyncio.timeout(_DEADLINE_S):
                waiting = [await self._producer.send(topic, value, key) for key, value in records]
                await asyncio.gather(*waiting)


@asynccontextmanager
async def command_topic(cluster: Kafka, topic: str = COMMANDS) -> AsyncIterator[CommandTopic]:
    """The topic (its name is without prefix), connected inside the block.

    Raises:
        Unreachable, SetupError: Kafka does not answer, or refuses; the topic does not exist.
    """
    producer = AIOKafkaProducer(
        acks="all",
        max_request_size=4 * MAX_VALUE_BYTES,
        linger_ms=2,
        request_timeout_ms=int(_DEADLINE_S * 1000),
        **cluster.clients("commands"),
    )
    try:
        with answers_explained(cluster):
            async with asyncio.timeout(_DEADLINE_S):
                await reached(cluster)
                await producer.start()
                if not await producer.partitions_for(cluster.topic(topic)):
                    raise SetupError(f"there is no topic {cluster.topic(topic)}: run `sluice topics`")
        yield CommandTopic(cluster, producer, topic)
    finally:
        await producer.stop()
