"""Output topics through aiokafka's idempotent producer, batch by batch: no future per message, partitions chosen here.

An idempotent producer never gives a batch up, and a sequence gap is for ever. So every publication has a deadline, and
a producer that missed it, or reported a gap, is thrown away: closed, its requests in flight timed out, and only then is
everything that is still owed sent again by a new one. Whoever waits gets acknowledgements, or `Unreachable`.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka import errors as kafka

from schemas.envelope import cloud_event_headers
from workers.errors import SetupError, Unreachable
from workers.runtime.batch import Fact
from workers.runtime.connection import Kafka
from workers.runtime.partitioner import partition_of
from workers.runtime.tasks import ended
from workers.runtime.telemetry import PUBLICATION, PUBLISHED, REBUILT

_REFUSED: Final = (
    kafka.TopicAuthorizationFailedError,
    kafka.ClusterAuthorizationFailedError,
    kafka.InvalidTopicError,
)

log = structlog.get_logger()


class KafkaOutput:
    """The `Output` of one worker; publications take turns."""

    def __init__(
        self,
        cluster: Kafka,
        name: str,
        *,
        deadline_s: float = 30.0,
        unreachable_after_s: float = 60.0,
        request_timeout_ms: int = 10_000,
        batch_bytes: int = 512 * 1024,
    ) -> None:
        self._cluster = cluster
        self._name = name
        self._deadline_s = deadline_s
        self._unreachable_after_s = unreachable_after_s
        self._request_timeout_ms = request_timeout_ms
        self._batch_bytes = batch_bytes
        self._producer: AIOKafkaProducer | None = None
        self._turn = asyncio.Lock()

    async def start(self) -> None:
        """Connects; without it the first publication does.

        Raises:
            Unreachable: the cluster cannot be reached.
        """
        try:
            self._producer = await self._started()
        except kafka.KafkaError as error:
            raise Unreachable(f"Kafka cannot be reached: {error!r}") from error

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is not None:
            return self._producer
        producer = AIOKafkaProducer(
            enable_idempotence=True,
            acks="all",
            max_batch_size=self._batch_bytes,
            request_timeout_ms=self._request_timeout_ms,
            **self._cluster.clients(f"{self._name}-out"),
        )
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        return producer

    async def stop(self) -> None:
        """Closes without waiting for what nobody waits for."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await _discard(producer, self._request_timeout_ms / 1000)

    async def publish(self, facts: Sequence[Fact]) -> None:
        """See the protocol.

        Raises:
            Unreachable: not everything was acknowledged within the bound.
            SetupError: Kafka refuses to be written, or lacks a topic.
        """
        async with self._turn:
            with PUBLICATION.labels(self._name).time():
                await self._insist(facts)
        for topic, count in Counter(fact.topic for fact in facts).items():
            PUBLISHED.labels(topic).inc(count)

    async def _insist(self, facts: Sequence[Fact]) -> None:
        loop = asyncio.get_running_loop()
        give_up = loop.time() + self._unreachable_after_s
        pause_s = 0.1
        while True:
            try:
                async with asyncio.timeout(self._deadline_s):
                    await self._publish(facts)
            except _REFUSED as error:
                raise SetupError(f"Kafka refuses to be written: {error!r}") from error
            except (TimeoutError, kafka.KafkaError) as error:
                if loop.time() >= give_up:
                    raise Unreachable(f"Kafka did not acknowledge what is owed: {error!r}") from error
                log.warning(
                    "Publishing failed; a new producer tries again.", action="producer_rebuilt", error=repr(error)
                )
                REBUILT.labels(self._name).inc()
                await self.stop()
                await asyncio.sleep(pause_s)
                pause_s = min(1.0, pause_s * 2)
            else:
                return

    async def _publish(self, facts: Sequence[Fact]) -> None:
        producer = self._producer = await self._started()
        by_partition: dict[tuple[str, int], list[Fact]] = {}
        counts: dict[str, int] = {}
        for fact in facts:
            if fact.topic not in counts:
                counts[fact.topic] = await self._partitions(producer, fact.topic)
            where = fact.topic, partition_of(fact, counts[fact.topic])
            by_partition.setdefault(where, []).append(fact)
        batches: list[tuple[str, int, Any]] = []
        for (topic, partition), part in by_partition.items():
            batches += [(self._cluster.topic(topic), partition, batch) for batch in _batches(producer, part)]
            await asyncio.sleep(0)
        # All at once: what the producer finds waiting goes out as one request, the rest must wait for its answer.
        waiting = [await producer.send_batch(batch, topic, partition=partition) for topic, partition, batch in batches]
        await _acknowledged(waiting)

    async def _partitions(self, producer: Any, topic: str) -> int:
        partitions = await producer.partitions_for(self._cluster.topic(topic))
        if not partitions:
            raise SetupError(f"there is no topic {self._cluster.topic(topic)}: run `sluice topics`")
        return len(partitions)


def _batches(producer: Any, facts: Sequence[Fact]) -> list[Any]:
    batches = [producer.create_batch()]
    for fact in facts:
        if not _append(batches[-1], fact):
            batches.append(producer.create_batch())
            _append(batches[-1], fact)
    for batch in batches:
        batch.close()
    return batches


def _append(batch: Any, fact: Fact) -> bool:
    ours = cloud_event_headers(fact.topic, fact.ce_id, fact.workspace_id, fact.time, fact.traceparent)
    headers = [*fact.headers, *ours] if fact.headers else ours
    appended = batch.append(timestamp=None, key=fact.key, value=fact.value, headers=headers)
    return appended is not None


async def _acknowledged(waiting: Sequence["asyncio.Future[Any]"]) -> None:
    results = await asyncio.gather(*waiting, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


async def _discard(producer: Any, in_flight_s: float) -> None:
    """Ends a producer for good: no request of it may reach the broker after this.

    aiokafka's own `stop()` waits until everything is delivered, for ever if need be, and a cancelled `stop()` leaves
    its sender at work; hence the private parts.
    """
    sender = producer._sender  # noqa: SLF001
    if sender.sender_task is not None:
        sender.sender_task.cancel()
        await asyncio.wait({sender.sender_task}, timeout=in_flight_s + 1)
    accumulator = producer._message_accumulator  # noqa: SLF001
    # A batch that waits to be sent again has left these, and complains of it when it ends.
    accumulator._pending_batches.update(chain(*accumulator._batches.values()))  # noqa: SLF001
    accumulator.fail_all(kafka.ProducerClosed())
    # Nobody will ask how these ended any more, and asyncio complains of what nobody asks.
    for batch in accumulator._pending_batches:  # noqa: SLF001
        for ending in (batch.future, batch._drain_waiter):  # noqa: SLF001
            if not ending.cancelled():
                ending.exception()
    stopping = asyncio.create_task(producer.stop())
    await asyncio.wait({stopping}, timeout=in_flight_s)
    await ended(stopping)
