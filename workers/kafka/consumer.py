"""Input topics through aiokafka. What aiokafka does, and what follows from it:

- A cancelled `getmany` breaks the consumer for good: polls are never cancelled, their results are used or dropped.
- Every rebalance revokes everything and resets positions: each assignment has a number, records that were polled under
an older one are dropped, and the loop seeks.
- A member that does not poll for `max_poll_interval_ms` may leave and never come back: it is set very large, and the
watchdog checks polling instead.
- Offsets are committed explicitly, and for partitions that are ours.
- It reads from committed offsets until a seek: so each assignment begins paused, at an offset that is not read.
"""

import asyncio
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka import errors as kafka

from workers.errors import PositionLost, Unreachable
from workers.kafka.connection import Kafka, PollLimits
from workers.kafka.failures import refusals_explained
from workers.kafka.fetching import Fetching
from workers.kafka.lateness import Lateness
from workers.kafka.membership import Membership, started_member
from workers.kafka.polling import Places, Polled, poll
from workers.kafka.topic_ids import TopicIds
from workers.kafka.topic_recreation import TopicRecreation
from workers.process.failure_deadline import FailureDeadline
from workers.process.metrics.of_workers import OFFSETS, REBALANCES
from workers.process.tasks import ended
from workers.records import Partition
from workers.runtime.poll_size import PollSize
from workers.runtime.ports import Assigned, Idle, InputEvent, Records, Revoked, Stopping

HAND_OVER_S: Final = 40.0
_BOUND_S: Final = 10.0
_PAUSE_S: Final = 0.1

log = structlog.get_logger()


class KafkaInput(ConsumerRebalanceListener):
    """The `InputTopics` of one worker."""

    def __init__(
        self,
        cluster: Kafka,
        group: str,
        topics: Sequence[str],
        limits: PollLimits,
        unreachable_after_s: float = 60.0,
        size: PollSize | None = None,
    ) -> None:
        self._size = size or PollSize(limits.records)
        self._cluster = cluster
        self._limits = limits
        self._topics = [cluster.topic(name) for name in topics]
        self._group, self._worker = group, group.rpartition("-")[2]
        self._unreachable_after_s = unreachable_after_s
        self._polling = FailureDeadline(unreachable_after_s, "Kafka could not be read")
        self._lateness = Lateness()
        self._member: Membership | None = None
        self._topic_ids: TopicIds
        self._places: Places = {}
        self._events: deque[Assigned | Revoked] = deque()
        self._revoked, self._over = Revoked(), False
        self._assignment = 0
        self._stands = False
        self._poll: asyncio.Task[Polled] | None = None
        self._polled_under = 0
        self._changed = asyncio.Event()
        self._stopping = False
        self.polled_at = 0.0
        """Event-loop time of the last poll that returned, for the watchdog."""

    async def start(self) -> None:
        """Joins the group.

        Raises:
            Unreachable: the cluster has not answered for the bound.
        """
        member = await self._started()
        self._topic_ids = TopicIds(member)
        Fetching(member, self._limits.bytes, self._topic_ids, TopicRecreation(member, self._expire))
        self._member = Membership(member, self._group, self._cluster.session_timeout_ms)
        self.polled_at = asyncio.get_running_loop().time()
        member.subscribe(topics=self._topics, listener=self)

    async def _started(self) -> AIOKafkaConsumer:
        async def unless_stopping(error: Exception) -> None:
            if self._stopping:
                raise Unreachable(f"Kafka cannot be reached: {error!r}") from error
            # The process logs once that Kafka is away, and once that it is back.
            log.debug("Kafka does not answer; trying again.", action="not_joined", error=repr(error))

        return await self._polling.insist(
            partial(started_member, self._group, self._cluster, self._limits), (kafka.KafkaError,), unless_stopping
        )

    @property
    def _membership(self) -> Membership:
        if self._member is None:
            raise RuntimeError("the input was not started")
        return self._member

    @property
    def _consumer(self) -> AIOKafkaConsumer:
        return self._membership.consumer

    def stop_polling(self) -> None:
        """The loop's next event is `Stopping`."""
        self._stopping = True
        self._changed.set()

    async def stop(self) -> None:
        """Leaves the group, within a bound."""
        if self._member is None:
            return
        # No loop hands partitions over any more: a rebalance that waited for it would only delay our leaving.
        self._over = True
        self._revoked.handed_over.set()
        # While the member joins, a poll does not return.
        if self._poll is not None and self._stands:
            await asyncio.wait({self._poll}, timeout=2.0)
        await ended(await self._membership.leave(_BOUND_S), self._poll)

    def _expire(self) -> None:
        self._assignment += 1
        self._stands = False

    # aiokafka's coordinator calls these. It swallows errors and waits for us.

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        self._expire()
        self._events.clear()
        if self._over:
            return
        self._membership.joins()
        if not revoked:
            return
        event = self._revoked = Revoked()
        self._events.append(event)
        self._changed.set()
        try:
            await asyncio.wait_for(event.handed_over.wait(), HAND_OVER_S)
        except TimeoutError:
            log.warning("Partitions were revoked before they could be handed over.", action="hand_over_late")

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._membership.joined()
        REBALANCES.labels(self._worker).inc()
        self._assign(assigned)

    def _assign(self, assigned: Collection[TopicPartition]) -> None:
        self._assignment += 1
        self._stands = True
        self._places = {}
        self._consumer.pause(*assigned)
        for partition in assigned:
            self._consumer.seek(partition, 0)
        generation = getattr(getattr(self._consumer, "_coordinator", None), "generation", 0)
        sources = frozenset(self._cluster.source(partition) for partition in assigned)
        self._events.append(Assigned(self._assignment, max(0, generation), sources))
        self._changed.set()

    # The methods of the protocol.

    async def next(self) -> InputEvent:
        """See the protocol.

        Raises:
            PositionLost: Kafka no longer has the next record.
            SetupError: Kafka refuses a right.
        """
        while True:
            await asyncio.sleep(0)
            self._changed.clear()
            event = self._next_change()
            if event is not None:
                return event
            await self._poll_or_change()
            if self._poll is not None and self._poll.done():
                polled = await self._take_poll()
                if polled is not None:
                    return polled

    def _next_change(self) -> Assigned | Revoked | Stopping | None:
        if self._events:
            # A poll from before the assignment would move positions after the loop's seek.
            if isinstance(self._events[0], Assigned) and self._poll is not None:
                return None
            return self._events.popleft()
        return Stopping() if self._stopping else None

    async def _poll_or_change(self) -> None:
        if self._poll is None:
            self._polled_under = self._assignment
            self._poll = asyncio.create_task(poll(self._consumer, self._limits, self._size.records, self._places))
        change = asyncio.create_task(self._changed.wait())
        try:
            await asyncio.wait({self._poll, change}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await ended(change)

    async def _take_poll(self) -> InputEvent | None:
        done, self._poll = self._poll, None
        self.polled_at = asyncio.get_running_loop().time()
        polled = await self._result(done) if done is not None else {}
        # After a suspected re-creation there is no seek until the next assignment: later records follow dropped ones.
        if self._polled_under != self._assignment or not self._stands:
            return None
        slices = {self._cluster.source(partition): part for partition, part in polled.items()}
        self._size.came(sum(len(part.records) for part in slices.values()))
        self._lateness.look(slices)
        self._lateness.lag({self._cluster.source(p): self._consumer.highwater(p) for p in self._places}, slices)
        return Records(self._assignment, slices) if slices else Idle()

    @property
    def stopping(self) -> bool:
        """See the protocol."""
        return self._stopping

    def is_current(self, assignment: int) -> bool:
        return assignment == self._assignment

    def assign_again(self) -> int | None:
        """See the protocol."""
        if not self._stands or self._events:
            return None
        self._expire()
        self._events.append(Revoked())
        self._assign(self._consumer.assignment())
        return self._assignment

    async def bounds(self, sources: Sequence[Partition]) -> Mapping[Partition, tuple[int, int]]:
        """See the protocol.

        Raises:
            Unreachable: Kafka does not answer.
        """
        partitions = [self._cluster.partition(source) for source in sources]
        # Before the bounds: those of a topic that is created again in between must not count.
        await self._topic_ids.note(partitions, self._unreachable_after_s)
        try:
            begin = await self._consumer.beginning_offsets(partitions)
            end = await self._consumer.end_offsets(partitions)
        except kafka.KafkaError as error:
            raise Unreachable(f"Kafka does not return the bounds of the input topics: {error!r}") from error
        return {self._cluster.source(p): (begin[p], end[p]) for p in partitions}

    def seek(self, source: Partition, offset: int) -> None:
        partition = self._cluster.partition(source)
        if partition in self._consumer.assignment():
            self._consumer.seek(partition, offset)
            self._places[partition] = offset

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        mine = self._consumer.assignment()
        ours = {
            self._cluster.partition(s): offset for s, offset in offsets.items() if self._cluster.partition(s) in mine
        }
        if not ours:
            return
        try:
            with refusals_explained("to commit offsets"), OFFSETS.labels(self._worker).time():
                async with asyncio.timeout(_BOUND_S):
                    await self._consumer.commit(ours)
        except (kafka.CommitFailedError, kafka.IllegalStateError, TimeoutError) as error:
            # Kafka's offsets only say how far we published: the next owner starts from its rows and commits them again.
            log.warning("Offsets were not committed.", action="offsets_not_committed", error=type(error).__name__)

    async def _result(self, done: asyncio.Task[Polled]) -> Polled:
        try:
            with refusals_explained("reads"):
                records = done.result()
        except kafka.OffsetOutOfRangeError as error:
            self._refuse_lost_position(error)
        except kafka.KafkaError as error:
            # A coordination error, which aiokafka reports once and then retries.
            self._polling.failed_with(error)
            log.warning("A poll failed; trying again.", action="poll_failed", error=repr(error))
            await asyncio.sleep(_PAUSE_S)
        else:
            self._polling.answered()
            return records
        return {}

    def _refuse_lost_position(self, error: kafka.OffsetOutOfRangeError) -> None:
        for partition, offset in error.args[0].items():
            # While partitions change owners, the take-over checks this.
            if self._polled_under == self._assignment and self._places.get(partition) == offset:
                source = self._cluster.source(partition)
                raise PositionLost(
                    f"{source.topic}[{source.partition}]: Kafka does not hold offset {offset} any more. "
                    "Decide with `sluice progress`"
                ) from error
