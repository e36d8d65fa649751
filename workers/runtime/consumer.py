"""Input topics through aiokafka. What its source says, and what follows from it:

- A cancelled `getmany` breaks the consumer for good: polls are never cancelled, their results are picked up or dropped.
- Every rebalance revokes everything and resets positions: each assignment has a number, what was polled under an
  older one is dropped, and the loop seeks.
- A member that does not poll for `max_poll_interval_ms` may leave and never come back: it is set very large, and the
  watchdog looks after polling instead.
- Offsets are committed explicitly, and for partitions that are ours.
"""

import asyncio
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka import errors as kafka

from workers.errors import PositionLost, SetupError, Unreachable
from workers.runtime.batch import Source
from workers.runtime.connection import Kafka, PollLimits
from workers.runtime.doubt import Doubt
from workers.runtime.freshness import Polled, poll
from workers.runtime.lateness import Lateness
from workers.runtime.patience import Patience
from workers.runtime.ports import Assigned, Event, Idle, Records, Revoked, Stopping
from workers.runtime.pulse import Pulse
from workers.runtime.tasks import ended

REBALANCE_TIMEOUT_MS: Final = 60_000
HAND_OVER_S: Final = 40.0
_BOUND_S: Final = 10.0
_PAUSE_S: Final = 0.1

log = structlog.get_logger()


class KafkaInput(ConsumerRebalanceListener):
    """The `Input` of one worker."""

    def __init__(
        self,
        cluster: Kafka,
        group: str,
        topics: Sequence[str],
        limits: PollLimits,
        unreachable_after_s: float = 60.0,
    ) -> None:
        self._cluster = cluster
        self._limits = limits
        self._topics = [cluster.topic(name) for name in topics]
        self._group = group
        self._polling = Patience(unreachable_after_s, "Kafka could not be read")
        self._pulse = Pulse(unreachable_after_s)
        self._lateness = Lateness()
        self._member: AIOKafkaConsumer | None = None
        self._events: deque[Assigned | Revoked] = deque()
        self._revoked, self._over = Revoked(), False
        self._rest: deque[Records] = deque()
        self._assignment = 0
        self._stands = False
        self._poll: asyncio.Task[Polled] | None = None
        self._polled_under = 0
        self._changed = asyncio.Event()
        self._stopping = False
        self.polled_at = 0.0
        """Event-loop time of the last poll that returned; the watchdog's."""

    async def start(self) -> None:
        """Joins the group.

        Raises:
            Unreachable: the cluster cannot be reached.
        """
        self._member = AIOKafkaConsumer(
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="none",
            session_timeout_ms=self._cluster.session_timeout_ms,
            heartbeat_interval_ms=min(3_000, self._cluster.session_timeout_ms // 3),
            rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
            max_poll_interval_ms=2**31 - 1,
            **self._limits.consumer(),
            **self._cluster.clients(self._group),
        )
        try:
            await self._member.start()
        except kafka.KafkaError as error:
            raise Unreachable(f"Kafka cannot be reached: {error!r}") from error
        Doubt(self._member, self._expire)
        self.polled_at = asyncio.get_running_loop().time()
        self._member.subscribe(topics=self._topics, listener=self)

    @property
    def _consumer(self) -> AIOKafkaConsumer:
        if self._member is None:
            raise RuntimeError("the input was not started")
        return self._member

    def stop_polling(self) -> None:
        """The loop's next event is `Stopping`."""
        self._stopping = True
        self._changed.set()

    async def stop(self) -> None:
        """Leaves the group, within a bound."""
        if self._member is None:
            return
        # Nobody hands anything over any more: a rebalance that waited for it would only delay our leaving.
        self._over = True
        self._revoked.handed_over.set()
        if self._poll is not None:
            await asyncio.wait({self._poll}, timeout=2.0)
        stopping = asyncio.create_task(self._member.stop())
        await asyncio.wait({stopping}, timeout=_BOUND_S)
        await ended(stopping, self._poll)

    def _expire(self) -> None:
        self._assignment += 1
        self._stands = False
        self._rest.clear()

    # Called by aiokafka's coordinator, which swallows errors and waits for us.

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        self._expire()
        self._events.clear()
        if not revoked or self._over:
            return
        event = self._revoked = Revoked()
        self._events.append(event)
        self._changed.set()
        try:
            await asyncio.wait_for(event.handed_over.wait(), HAND_OVER_S)
        except TimeoutError:
            log.warning("Partitions were taken before they could be handed over.", action="hand_over_late")

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._assign(assigned)

    def _assign(self, assigned: Collection[TopicPartition]) -> None:
        self._assignment += 1
        self._stands = True
        generation = getattr(getattr(self._consumer, "_coordinator", None), "generation", 0)
        sources = frozenset(self._cluster.source(partition) for partition in assigned)
        self._events.append(Assigned(self._assignment, max(0, generation), sources))
        self._changed.set()

    # The port.

    async def next(self) -> Event:
        """See the protocol.

        Raises:
            PositionLost: Kafka does not have the next record any more.
            SetupError: Kafka refuses a right.
        """
        while True:
            await asyncio.sleep(0)
            self._changed.clear()
            event = self._next_change()
            if event is not None:
                return event
            if self._rest:
                return self._rest.popleft()
            await self._poll_or_change()
            if self._poll is not None and self._poll.done():
                polled = await self._take_poll()
                if polled is not None:
                    return polled

    def _next_change(self) -> Assigned | Revoked | Stopping | None:
        if self._events:
            # A poll from before the assignment would move positions after the loop has sought.
            if isinstance(self._events[0], Assigned) and self._poll is not None:
                return None
            return self._events.popleft()
        return Stopping() if self._stopping else None

    async def _poll_or_change(self) -> None:
        if self._poll is None:
            self._polled_under = self._assignment
            self._poll = asyncio.create_task(poll(self._consumer, self._limits))
        change = asyncio.create_task(self._changed.wait())
        try:
            await asyncio.wait({self._poll, change}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await ended(change)

    async def _take_poll(self) -> Event | None:
        done, self._poll = self._poll, None
        self.polled_at = asyncio.get_running_loop().time()
        polled = await self._result(done) if done is not None else {}
        await self._pulse.feel(self._consumer, polled)
        # Between a doubt and the next assignment nobody has sought: what is read then comes after what was dropped.
        if self._polled_under != self._assignment or not self._stands:
            return None
        slices = {self._cluster.source(partition): records for partition, records in polled.items() if records}
        self._lateness.look(slices, lambda source: self._consumer.highwater(self._cluster.partition(source)))
        self._rest.extend(Records(self._assignment, part) for part in self._limits.parts(slices))
        return self._rest.popleft() if self._rest else Idle()

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

    async def bounds(self, sources: Sequence[Source]) -> Mapping[Source, tuple[int, int]]:
        """See the protocol.

        Raises:
            Unreachable: Kafka does not answer.
        """
        partitions = [self._cluster.partition(source) for source in sources]
        try:
            begin = await self._consumer.beginning_offsets(partitions)
            end = await self._consumer.end_offsets(partitions)
        except kafka.KafkaError as error:
            raise Unreachable(f"Kafka does not tell the bounds of the input topics: {error!r}") from error
        return {self._cluster.source(p): (begin[p], end[p]) for p in partitions}

    def seek(self, source: Source, offset: int) -> None:
        partition = self._cluster.partition(source)
        if partition in self._consumer.assignment():
            self._consumer.seek(partition, offset)

    async def commit(self, offsets: Mapping[Source, int]) -> None:
        mine = self._consumer.assignment()
        ours = {
            self._cluster.partition(s): offset for s, offset in offsets.items() if self._cluster.partition(s) in mine
        }
        if not ours:
            return
        try:
            async with asyncio.timeout(_BOUND_S):
                await self._consumer.commit(ours)
        except (kafka.CommitFailedError, kafka.IllegalStateError, TimeoutError) as error:
            # What Kafka holds only says how far we published: the next owner starts from its rows and says it again.
            log.warning("Offsets were not committed.", action="offsets_not_committed", error=type(error).__name__)
        except kafka.GroupAuthorizationFailedError as error:
            raise SetupError(f"Kafka refuses to commit offsets: {error!r}") from error

    async def _result(self, done: asyncio.Task[Polled]) -> Polled:
        try:
            records = done.result()
        except kafka.NoOffsetForPartitionError:
            pass  # without a committed offset a fetch can begin before the loop has sought: nothing was read
        except kafka.OffsetOutOfRangeError as error:
            await self._refuse_lost_position(error)
        except (kafka.TopicAuthorizationFailedError, kafka.GroupAuthorizationFailedError) as error:
            raise SetupError(f"Kafka refuses to be read: {error!r}") from error
        except kafka.CorruptRecordException as error:
            await self._bear(error)
            # What the same poll had read of other partitions is nobody's now: all of them are sought anew.
            self.assign_again()
        except kafka.KafkaError as error:
            await self._bear(error)
        except ValueError as error:
            raise PositionLost(
                "a record cannot be read, as one of its headers has a name that is not UTF-8: find it after a "
                "`next_offset` of `sluice progress show`, and skip it with `sluice progress skip`"
            ) from error
        else:
            self._polling.answered()
            return records
        return {}

    async def _bear(self, error: kafka.KafkaError) -> None:
        """What goes wrong in coordination is told to us once and then tried again by aiokafka. Raises as `Patience`."""
        self._polling.bear(error)
        log.warning("A poll failed; trying again.", action="poll_failed", error=repr(error))
        await asyncio.sleep(_PAUSE_S)

    async def _refuse_lost_position(self, error: kafka.OffsetOutOfRangeError) -> None:
        for partition, offset in error.args[0].items():
            # A fetch from the committed offset may have failed before the loop has sought: that one does not count.
            if await self._position(partition) == offset:
                source = self._cluster.source(partition)
                raise PositionLost(
                    f"{source.topic}[{source.partition}]: Kafka does not hold offset {offset} any more. "
                    "Decide with `sluice progress`"
                ) from error

    async def _position(self, partition: TopicPartition) -> int | None:
        """None while partitions change hands: whoever takes over looks, and aiokafka would not answer before."""
        if self._polled_under == self._assignment and partition in self._consumer.assignment():
            with suppress(TimeoutError):
                async with asyncio.timeout(_PAUSE_S):
                    return int(await self._consumer.position(partition))
        return None
