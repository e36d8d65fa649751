"""A producer for programs beside the workers: its acknowledgements are awaited. And a check of the topics."""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka import errors as kafka

from schemas.building import Record
from schemas.kafka_rights import Right, complaint
from workers.errors import SetupError
from workers.process.granted_rights import missing_rights

AWAY: Final = (kafka.KafkaError, OSError, EOFError)
"""No broker answers, or one answers that it cannot now: try again."""
_FORBIDDEN: Final = (kafka.TopicAuthorizationFailedError, kafka.ClusterAuthorizationFailedError)
_REQUEST_MS: Final = 10_000
_STOP_S: Final = 3.0
_BATCH_BYTES: Final = 256 * 1024
_LARGEST_REQUEST: Final = 8 * 1024 * 1024
Headers = Sequence[tuple[str, bytes]]


class Cluster(Protocol):
    """A Kafka cluster, as the settings name it."""

    def clients(self, name: str) -> dict[str, Any]:
        """Arguments of every aiokafka client."""
        ...

    def topic(self, name: str) -> str:
        """A topic's name on the cluster."""
        ...


class Produced(NamedTuple):
    """A record with headers."""

    record: Record
    headers: Headers = ()


class Production:
    """Produces records and awaits their acknowledgements by all replicas in sync.

    Without idempotence: what such a program produces may come twice, for its id makes the repeat harmless. In return a
    producer that missed an answer never has to be replaced, and gives up a batch after ten seconds: while Kafka is
    away, memory stays bounded. aiokafka has one request in flight for a partition, so records stay in order.
    """

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster = cluster
        self._name = name
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    def topic(self, name: str) -> str:
        """A topic's name on the cluster."""
        return self._cluster.topic(name)

    async def ask(self) -> None:
        """Returns once a broker has answered. Connects, if that was not possible before. Raises an error of `AWAY`."""
        producer = await self._started()
        if producer._sender.sender_task.done():  # noqa: SLF001 - aiokafka logs that it ended, and says nothing more
            raise kafka.KafkaError("the producer does not send any more")
        await producer.client.fetch_all_metadata()

    def close(self) -> None:
        """Does nothing: `stop` ends the connections."""

    async def check_topics(self, names: Collection[str]) -> None:
        """Refuses to start without the topics (names without prefix).

        Raises:
            SetupError: topics are missing, or Kafka refuses.
            AWAY: no broker answers.
        """
        producer = await self._started()
        known = (await producer.client.fetch_all_metadata()).topics()
        missing = sorted({self.topic(name) for name in names} - set(known))
        if missing:
            raise SetupError(f"Kafka lacks topics ({', '.join(missing)}): run `sluice topics`")

    async def check_rights(self, role: str, wanted: Sequence[Right]) -> None:
        """Refuses to start without these rights, which the role of `schemas/kafka_rights.py` includes.

        Raises:
            SetupError: the login lacks rights.
            AWAY: no broker answers.
        """
        producer = await self._started()
        if missing := await missing_rights(producer.client, wanted):
            raise SetupError(complaint(role, self._cluster.clients("").get("sasl_plain_username"), missing))

    async def produce(self, records: Sequence[Produced]) -> None:
        """Produces the records, those of one key in their order, and returns once all are acknowledged.

        Raises:
            SetupError: Kafka refuses a right.
            AWAY: not all were acknowledged. Some may be.
        """
        producer = await self._started()
        try:
            futures = [
                await producer.send(self.topic(one.record.topic), one.record.value, one.record.key, headers=one.headers)
                for one in records
            ]
            if len(futures) > 1:
                await asyncio.wait(futures)
            for future in futures:
                await future
        except _FORBIDDEN as error:
            raise SetupError(f"Kafka refuses writes: {error!r}") from error

    async def produce_again(
        self, topic: str, partition: int, key: bytes | None, value: bytes, headers: Sequence[tuple[str, bytes | None]]
    ) -> None:
        """Produces a record that was in a topic before to its old partition, where the other records of its key are; if
        that is gone, to the one that Kafka chooses for the key. Raises as `produce`.
        """
        producer = await self._started()
        name = self.topic(topic)
        try:
            known = await producer.partitions_for(name)
            chosen = partition if partition in known else None
            await (await producer.send(name, value, key, chosen, headers=list(headers)))
        except _FORBIDDEN as error:
            raise SetupError(f"Kafka refuses writes: {error!r}") from error

    async def stop(self) -> None:
        """Closes the connections. Waits a moment for what is not acknowledged: nobody asks for it any more."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_STOP_S):
                    await producer.stop()

    async def _started(self) -> Any:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    acks="all",
                    max_batch_size=_BATCH_BYTES,
                    max_request_size=_LARGEST_REQUEST,
                    request_timeout_ms=_REQUEST_MS,
                    **self._cluster.clients(self._name),
                )
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer
