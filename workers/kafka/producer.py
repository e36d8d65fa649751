"""Output topics through aiokafka's idempotent producer, in whole batches and with our own partitioner.

An idempotent producer never gives up a batch, and a sequence gap is permanent. So every publication has a deadline. A
producer that missed it, or reported a gap, is replaced: it is closed, its requests in flight time out, and only then a
new producer sends the unpublished events again. The caller gets acknowledgements, or `Unreachable`.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka import errors as kafka

from schemas.output_headers import cloud_event_headers
from workers.errors import SetupError
from workers.kafka.connection import Kafka
from workers.kafka.failures import AWAY, refusals_explained
from workers.kafka.partitioner import partition_of
from workers.process.failure_deadline import FailureDeadline
from workers.process.metrics.of_workers import PUBLICATION, PUBLISHED, REBUILT
from workers.process.tasks import ended, growing_slices
from workers.records import Event

_BATCH_BYTES: Final = 512 * 1024

log = structlog.get_logger()


class KafkaOutput:
    """The `OutputTopics` of one worker. Publications run one after the other."""

    def __init__(
        self,
        cluster: Kafka,
        name: str,
        *,
        deadline_s: float = 30.0,
        unreachable_after_s: float = 60.0,
        request_timeout_ms: int = 10_000,
    ) -> None:
        self._cluster = cluster
        self._name = name
        self._deadline_s = deadline_s
        self._unreachable_after_s = unreachable_after_s
        self._request_timeout_ms = request_timeout_ms
        self._producer: AIOKafkaProducer | None = None
        self._turn = asyncio.Lock()

    async def start(self) -> None:
        """Connects. If that fails, the first publication tries again."""
        with suppress(kafka.KafkaError):
            self._producer = await self._started()

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is not None:
            return self._producer
        producer = AIOKafkaProducer(
            enable_idempotence=True,
            acks="all",
            max_batch_size=_BATCH_BYTES,
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
        """Closes without waiting for messages that no caller waits for."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await _discard(producer, self._request_timeout_ms / 1000)

    async def publish(self, events: Sequence[Event]) -> None:
        """See the protocol.

        Raises:
            Unreachable: not everything was acknowledged within the bound.
            SetupError: Kafka refuses a right, or a topic is missing.
        """
        async with self._turn:
            with PUBLICATION.labels(self._name).time():
                deadline = FailureDeadline(self._unreachable_after_s, "Kafka did not acknowledge all outputs")
                await deadline.insist(
                    partial(self._publish, events), AWAY, self._throw_away, longest_s=self._deadline_s
                )
        for topic, count in Counter(event.topic for event in events).items():
            PUBLISHED.labels(topic).inc(count)

    async def _throw_away(self, error: Exception) -> None:
        if self._producer is not None:
            log.warning("Publishing failed; a new producer tries again.", action="producer_rebuilt", error=repr(error))
            REBUILT.labels(self._name).inc()
        await self.stop()

    async def _publish(self, events: Sequence[Event]) -> None:
        with refusals_explained("writes"):
            producer = self._producer = await self._started()
            batches = await self._batches_of(producer, events)
            # All at once: the producer sends everything that waits as one request. Later messages wait for its answer.
            waiting = [await producer.send_batch(batch, topic, partition=p) for topic, p, batch in batches]
            await _acknowledged(waiting)

    async def _batches_of(self, producer: Any, events: Sequence[Event]) -> list[tuple[str, int, Any]]:
        by_partition: dict[tuple[str, int], list[Event]] = {}
        counts: dict[str, int] = {}
        for topic in {event.topic for event in events}:
            counts[topic] = await self._partitions(producer, topic)
        async for some in growing_slices(events):  # a long key takes milliseconds
            for event in some:
                where = event.topic, partition_of(event, counts[event.topic])
                by_partition.setdefault(where, []).append(event)
        batches: list[tuple[str, int, Any]] = []
        for (topic, partition), part in by_partition.items():
            batches += [(self._cluster.topic(topic), partition, batch) for batch in await _batches(producer, part)]
        return batches

    async def _partitions(self, producer: Any, topic: str) -> int:
        partitions = await producer.partitions_for(self._cluster.topic(topic))
        if not partitions:
            raise SetupError(f"there is no topic {self._cluster.topic(topic)}: run `sluice topics`")
        return len(partitions)


async def _batches(producer: Any, events: Sequence[Event]) -> list[Any]:
    batches = [producer.create_batch()]
    async for some in growing_slices(events):
        for event in some:
            if not _append(batches[-1], event):
                batches.append(producer.create_batch())
                _append(batches[-1], event)
    for batch in batches:
        batch.close()
    return batches


def _append(batch: Any, event: Event) -> bool:
    ours = cloud_event_headers(event.topic, event.ce_id, event.workspace_id, event.time, event.traceparent)
    headers = [*event.headers, *ours] if event.headers else ours
    appended = batch.append(timestamp=None, key=event.key, value=event.value, headers=headers)
    return appended is not None


async def _acknowledged(waiting: Sequence["asyncio.Future[Any]"]) -> None:
    results = await asyncio.gather(*waiting, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


async def _discard(producer: Any, in_flight_s: float) -> None:
    """Ends a producer for good: after this no request of it may reach the broker.

    aiokafka's own `stop()` waits until everything is delivered, without a limit, and a cancelled `stop()` leaves its
    sender running. So this uses private parts.
    """
    try:
        await _ended_for_good(producer, in_flight_s)
    except asyncio.CancelledError:
        producer._closed = True  # noqa: SLF001 - it would complain that nobody stopped it
        raise


async def _ended_for_good(producer: Any, in_flight_s: float) -> None:
    sender = producer._sender  # noqa: SLF001
    if sender.sender_task is not None:
        sender.sender_task.cancel()
        await asyncio.wait({sender.sender_task}, timeout=in_flight_s + 1)
    accumulator = producer._message_accumulator  # noqa: SLF001
    # A batch that waits for a retry is no longer in these, and logs an error when it ends.
    accumulator._pending_batches.update(chain(*accumulator._batches.values()))  # noqa: SLF001
    accumulator.fail_all(kafka.ProducerClosed())
    # No code awaits these any more, and asyncio would log their exceptions.
    for batch in accumulator._pending_batches:  # noqa: SLF001
        for ending in (batch.future, batch._drain_waiter):  # noqa: SLF001
            if not ending.cancelled():
                ending.exception()
    stopping = asyncio.create_task(producer.stop())
    await asyncio.wait({stopping}, timeout=in_flight_s)
    await ended(stopping)
