"""Reads `sends.dispatch` in a consumer group: one attempt at a time for each recipient, many recipients side by side.

An offset is committed once nothing is left to do for the records before it. aiokafka breaks a consumer whose `getmany`
is cancelled: polls are short, and never cancelled but at the end.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka import errors as kafka

from connectors.provider import Channel
from connectors.sender.attempts import Attempts, NotClaimed
from connectors.sender.rates import Rate
from connectors.sender.windows import Window
from schemas.outputs import SendDispatch
from workers.app.settings import Settings
from workers.process.metrics.of_senders import DISPATCHES, OPEN, Done
from workers.process.tasks import abandoned

TOPIC: Final = "sends.dispatch"
_POLL_MS: Final = 100
_POLL_RECORDS: Final = 200
_MOST_OPEN: Final = 1_000
"""Records of a partition that are polled and not done; then its polling pauses."""
_LONGEST_SPAN: Final = 50_000
"""Records of a partition that are polled and not committed. One that waits long for its receipt holds up no others, but
what is done behind it would be read again after a crash.
"""
_OPEN_BYTES: Final = 64 * 1024 * 1024
"""Of all partitions together."""
_FETCH_BYTES: Final = 4 * 1024 * 1024
_CALLS_OF_A_CHANNEL: Final = 64
_MOST_ATTEMPTS: Final = 2**31 - 1
_FINISH_S: Final = 17.0
_REVOKED_S: Final = 5.0
_ABANDON_S: Final = 1.0
_COMMIT_S: Final = 2.0
_LEAVE_S: Final = 2.0
"""Without Kafka a commit would wait for ever, and a goodbye for a whole request: no stop may wait so long."""

log = structlog.get_logger()
_DECODER: Final = msgspec.json.Decoder(SendDispatch)
_Recipient = tuple[str, str, str]


def _decoded(value: bytes) -> SendDispatch:
    send = _DECODER.decode(value)
    if not 0 < send.attempt <= _MOST_ATTEMPTS:
        raise ValueError("Expected an attempt that the database can hold")
    return send


class _Lane:
    """What one channel may do at once."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.rate = Rate(channel.rate_per_second)
        self.slots = asyncio.Semaphore(_CALLS_OF_A_CHANNEL)


class Dispatches(ConsumerRebalanceListener):
    """A member of a group of senders that serves these channels."""

    def __init__(self, settings: Settings, group: str, channels: Sequence[Channel], attempts: Attempts) -> None:
        self._cluster = settings.kafka()
        self._group = group
        self._lanes = {(channel.workspace_id, channel.channel_id): _Lane(channel) for channel in channels}
        self._attempts = attempts
        self._windows: dict[TopicPartition, Window] = {}
        self._waiting: dict[_Recipient, deque[Callable[[], Coroutine[Any, Any, None]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed: asyncio.Future[None] | None = None
        self._consumer: AIOKafkaConsumer | None = None
        self._stopping = False
        self._making = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def run(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        """Sends until stopped; then finishes what was claimed, within a bound. Calls `ready` once it consumes.

        Raises:
            Unreachable, SetupError: a server did not answer within the bound, or refuses.
        """
        self._failed = asyncio.get_running_loop().create_future()
        consumer = self._consumer = AIOKafkaConsumer(
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            session_timeout_ms=self._cluster.session_timeout_ms,
            heartbeat_interval_ms=self._cluster.session_timeout_ms // 3,
            max_poll_records=_POLL_RECORDS,
            fetch_max_bytes=_FETCH_BYTES,
            **self._cluster.clients("sender"),
        )
        consumer.subscribe([self._cluster.topic(TOPIC)], listener=self)
        try:
            await consumer.start()
            ready()
            while not stop.is_set():
                await self._poll(consumer)
            await self._finish(consumer)
        finally:
            await abandoned(*self._tasks, within_s=_ABANDON_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(_LEAVE_S):
                    await consumer.stop()

    async def _poll(self, consumer: Any) -> None:
        self._balance(consumer)
        polled: Mapping[TopicPartition, Sequence[Any]] = await consumer.getmany(timeout_ms=_POLL_MS)
        for partition, records in polled.items():
            window = self._windows.setdefault(partition, Window())
            for record in records:
                window.add(record.offset, len(record.value or b""))
                self._begin(window, record)
        self._check()
        await self._commit(consumer)

    def _check(self) -> None:
        """Raises what a task raised."""
        if self._failed is not None and self._failed.done():
            self._failed.result()

    def _balance(self, consumer: Any) -> None:
        """Pauses partitions with many open records, all of them if these hold much memory, and resumes the others."""
        windows = {partition: window for partition, window in self._windows.items() if not window.lost}
        heavy = sum(window.bytes for window in windows.values()) >= _OPEN_BYTES
        full = {
            partition
            for partition, window in windows.items()
            if heavy or window.open >= _MOST_OPEN or window.span >= _LONGEST_SPAN
        }
        paused = consumer.paused()
        consumer.pause(*(full - paused))
        consumer.resume(*(paused - full))
        OPEN.set(sum(window.open for window in windows.values()))

    def _begin(self, window: Window, record: Any) -> None:
        try:
            send = _decoded(record.value or b"")
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            log.error(
                "A record of sends.dispatch cannot be read, and is skipped.",
                action="dispatch_skipped",
                partition=record.partition,
                offset=record.offset,
                error=str(error),
            )
            self._done(window, record.offset, "unreadable")
            return
        lane = self._lanes.get((send.workspace_id, send.channel_id))
        if lane is None:
            self._done(window, record.offset, "other_channel")
            return
        recipient = send.workspace_id, send.channel_id, send.address
        waiting = self._waiting.get(recipient)
        if waiting is None:
            self._waiting[recipient] = waiting = deque()
            self._start(self._serve(recipient, waiting))
        waiting.append(lambda: self._attempt(lane, window, record.offset, send))

    async def _serve(self, recipient: _Recipient, waiting: deque[Callable[[], Coroutine[Any, Any, None]]]) -> None:
        while waiting:
            await waiting.popleft()()
        del self._waiting[recipient]

    async def _attempt(self, lane: _Lane, window: Window, offset: int, send: SendDispatch) -> None:
        async with lane.slots:
            if not await lane.rate.turn(partial(self._may_begin, window)):
                return  # who reads the record next makes the attempt
            try:
                with self._under_way():
                    await self._attempts.make(lane.channel, send)
            except NotClaimed as denied:
                if denied.earlier:
                    self._start(self._settle(lane, window, offset, send))
                    return
                self._done(window, offset, "denied")
            else:
                self._done(window, offset, "reported")

    def _may_begin(self, window: Window) -> bool:
        return not self._stopping and not window.lost

    @contextmanager
    def _under_way(self) -> Iterator[None]:
        """Counts attempts that a stop lets end."""
        self._making += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._making -= 1
            if not self._making:
                self._idle.set()

    async def _made(self, within_s: float) -> None:
        """Waits until no attempt is under way, at most that long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._idle.wait()

    async def _settle(self, lane: _Lane, window: Window, offset: int, send: SendDispatch) -> None:
        """Others need not wait for an attempt that somebody else made."""
        await self._attempts.settle(lane.channel, send)
        self._done(window, offset, "claimed_before")

    def _done(self, window: Window, offset: int, outcome: Done) -> None:
        DISPATCHES.labels(outcome).inc()
        window.done(offset)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if self._failed is not None and not self._failed.done():
            self._failed.set_exception(error)

    async def _commit(self, consumer: Any) -> None:
        await self._commit_of(consumer, {p: window for p, window in self._windows.items() if not window.lost})

    async def _commit_of(self, consumer: Any, windows: Mapping[TopicPartition, Window]) -> None:
        offsets = {partition: offset for partition, window in windows.items() if (offset := window.to_commit())}
        if not offsets:
            return
        # What is not committed now is committed later, or comes again, and its claims are denied.
        with suppress(kafka.CommitFailedError, kafka.IllegalStateError, kafka.KafkaError, TimeoutError):
            async with asyncio.timeout(_COMMIT_S):
                await consumer.commit(offsets)
            for partition, offset in offsets.items():
                windows[partition].committed(offset)

    async def _finish(self, consumer: Any) -> None:
        """Ends what was claimed. What was not is left to who reads it next; so are waits for the receipts of others."""
        self._stopping = True
        await self._made(_FINISH_S)
        await self._commit(consumer)
        self._check()

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Waits a moment for calls under way, so that the next owner need not wait for their receipts."""
        leaving = {partition: self._windows[partition] for partition in revoked if partition in self._windows}
        for window in leaving.values():
            window.lost = True
        if any(window.open for window in leaving.values()):
            await self._made(_REVOKED_S)
        if self._consumer is not None:
            await self._commit_of(self._consumer, leaving)
        for partition in leaving:
            del self._windows[partition]

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Begins anew with each partition."""
        for partition in assigned:
            self._windows[partition] = Window()
