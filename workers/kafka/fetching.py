"""Handles the answer to a fetch before aiokafka makes records of its bytes.

Replaces two methods of aiokafka's fetcher. A poll is bounded in bytes as well as in records, with any compression.
Fetches are read committed. Still, the end of a partition is its high watermark, so records that an open transaction
holds back count as not yet read.
"""

import asyncio
import itertools
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka import errors as kafka
from aiokafka.consumer.fetcher import READ_COMMITTED, FetchError

from workers.kafka.topic_ids import INCONSISTENT_TOPIC_ID, UNKNOWN_TOPIC_ID, Fetched, TopicIds
from workers.kafka.topic_recreation import TopicRecreation
from workers.kafka.unpacking import Budget, Suspicion, Unpacked
from workers.records import RawRecord

_PAUSE_S: Final = 0.1
_AGAIN_AFTER_S: Final = 10.0
_LITTLE_BYTES: Final = 64 * 1024
_GONE: Final = (
    kafka.NotLeaderForPartitionError.errno,
    kafka.UnknownTopicOrPartitionError.errno,
    UNKNOWN_TOPIC_ID,
    INCONSISTENT_TOPIC_ID,
)

_ONE_AFTER_THE_OTHER: Final = ThreadPoolExecutor(1, "inflating")
"""Serialises work that takes much memory, for all consumers of the process."""

log = structlog.get_logger()
FetchedRecords = dict[TopicPartition, list[RawRecord]]


class _Held:
    """The fetched bytes of a partition, until all of them are handed over. aiokafka calls the first method."""

    def __init__(self, partition: TopicPartition, assignment: Any, unpacked: Unpacked, backoff_s: float) -> None:
        self.unpacked = unpacked
        self._partition = partition
        self._assignment = assignment
        self._next = unpacked.next_fetch_offset
        self._fresh_until = time.monotonic() + backoff_s

    def calculate_backoff(self) -> float:
        """How long fetches for other partitions should wait until this one is handed over."""
        return max(0.0, self._fresh_until - time.monotonic())

    @property
    def wanted(self) -> bool:
        """Whether the records are not obsolete after a seek or a rebalance."""
        if not self._assignment.active or self._assignment.state_value(self._partition).paused:
            return False
        position: int = self._assignment.state_value(self._partition).position
        return position == self._next

    def take(self, budget: Budget) -> list[RawRecord]:
        """The next records, up to a large batch."""
        return self.passed(self.unpacked.take(budget))

    def passed(self, taken: list[RawRecord]) -> list[RawRecord]:
        """Moves the position behind these records, the last ones that were unpacked."""
        self._next = self.unpacked.next_fetch_offset
        self._assignment.state_value(self._partition).consumed_to(self._next)
        return taken


class _Inflating(NamedTuple):
    """A large batch, whose next records a thread reads."""

    held: _Held
    records: asyncio.Future[list[RawRecord]]


class Fetching:
    """Unpacks the fetches of a started consumer."""

    def __init__(
        self,
        member: AIOKafkaConsumer,
        most_bytes: int,
        topic_ids: TopicIds,
        recreation: TopicRecreation | None = None,
    ) -> None:
        # aiokafka has no hook for it: the first method is private.
        fetcher: Any = member._fetcher  # noqa: SLF001
        fetcher._proc_fetch_request = self._fetch  # noqa: SLF001
        fetcher.fetched_records = self._fetched_records
        self._fetcher = fetcher
        self._recreation = recreation
        self._topic_ids = topic_ids
        self._most_bytes = most_bytes
        self._inflating: _Inflating | None = None
        """At most one, so that memory has the records of one. A poll with other records does not wait for them."""
        self._suspicions: dict[TopicPartition, Suspicion] = {}
        self._said_at: dict[TopicPartition, float] = {}
        self._turns = itertools.count(1)
        self._served: dict[TopicPartition, int] = {}

    async def _fetched_records(
        self,
        _partitions: object,
        timeout: float = 0.0,  # noqa: ASYNC109 - as aiokafka's
        max_records: int = 1,
    ) -> FetchedRecords:
        """Replaces aiokafka's method, for all partitions."""
        fetcher, loop = self._fetcher, asyncio.get_running_loop()
        until = loop.time() + timeout
        while True:
            if fetcher._subscriptions.reassignment_in_progress:  # noqa: SLF001
                await fetcher._subscriptions.wait_for_assignment()  # noqa: SLF001
            found = self._handed_over(max_records)
            left = until - loop.time()
            if found or left <= 0:
                return found
            waiter = fetcher._create_fetch_waiter()  # noqa: SLF001
            inflated = [self._inflating.records] if self._inflating is not None else []
            done, _ = await asyncio.wait([waiter, *inflated], timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if waiter not in done:
                waiter.cancel()
            if not done or fetcher._closed:  # noqa: SLF001
                return {}
            if waiter in done:
                waiter.result()

    def _handed_over(self, max_records: int) -> FetchedRecords:
        found, budget = FetchedRecords(), Budget(max_records, self._most_bytes)
        if self._inflating is not None and self._inflating.held not in self._fetcher._records.values():  # noqa: SLF001
            self._inflating = None
        for partition, each in self._in_turn():
            if budget.spent:
                break
            if isinstance(each, FetchError):
                if not found:
                    self._forget(partition, each)
                    each.check_raise()
                break
            if not each.wanted:
                self._forget(partition, each)
                continue
            inflating = self._inflating
            if inflating is not None and inflating.held is each:
                if inflating.records.done():
                    self._inflating = None
                    found[partition] = each.passed(inflating.records.result())
                    self._note_served(partition, each)
                    break  # as many as one poll may bring
                continue
            if taken := each.take(budget):
                found[partition] = taken
                self._note_served(partition, each)
            if not each.unpacked.more:
                self._forget(partition, each)
            if each.unpacked.large and self._inflating is None:
                self._inflate(each, max_records)
        return {partition: taken for partition, taken in found.items() if taken}

    def _note_served(self, partition: TopicPartition, each: _Held) -> None:
        # A partition in a large batch goes on with it: each piece is inflated from the beginning again.
        if not each.unpacked.large:
            self._served[partition] = next(self._turns)

    def _inflate(self, each: _Held, max_records: int) -> None:
        budget = Budget(max_records, self._most_bytes)
        running = asyncio.get_running_loop().run_in_executor(_ONE_AFTER_THE_OTHER, each.unpacked.take_of_large, budget)
        # A failure is raised when its turn comes; nobody asks for it if the partition is gone by then.
        running.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._inflating = _Inflating(each, running)

    def _in_turn(self) -> list[tuple[TopicPartition, Any]]:
        """The fetched bytes, in the order in which they are handed over.

        First partitions of which little is held: they do not wait for the backlog of others. Then who was served
        longest ago, and as much of it as there may be: a large piece costs less than many small ones.
        """
        held: dict[TopicPartition, Any] = self._fetcher._records  # noqa: SLF001
        return sorted(held.items(), key=lambda item: (_much(item[1]), self._served.get(item[0], 0)))

    def _forget(self, partition: TopicPartition, each: object) -> None:
        """Allows the next fetch of the partition."""
        if self._fetcher._records.get(partition) is each:  # noqa: SLF001
            del self._fetcher._records[partition]  # noqa: SLF001
            self._fetcher._notify(self._fetcher._wait_consume_future)  # noqa: SLF001

    async def _fetch(self, assignment: Any, node_id: Any, request: Any) -> bool:
        """Replaces aiokafka's method: whether there is something to hand over now."""
        request._isolation_level = READ_COMMITTED  # noqa: SLF001
        asked = {
            TopicPartition(topic, number): offset
            for topic, partitions in request.topics
            for number, offset, _ in partitions
        }
        try:
            await self._log_damage(asked)
            by_id = self._topic_ids.by_id(request, asked)
            response = await self._fetcher._client.send(node_id, by_id)  # noqa: SLF001
        except kafka.KafkaError as error:
            log.debug("A fetch failed; it is sent again.", action="fetch_failed", error=repr(error))
            await asyncio.sleep(_PAUSE_S)
            return False
        except asyncio.CancelledError:
            return False
        if not assignment.active:
            return False
        refused = 0
        for fetched in self._topic_ids.answers(response, asked):
            offset, state = asked[fetched.partition], assignment.state_value(fetched.partition)
            # The position has changed since this fetch was sent.
            if state.has_valid_position and state.position == offset:
                if fetched.error_code == kafka.NoError.errno:
                    self._take(fetched, offset, assignment)
                else:
                    refused += not self._refuse(fetched.partition, offset, fetched.error_code)
        if refused and refused == len(asked):
            await asyncio.sleep(_PAUSE_S)
        return any(partition in self._fetcher._records for partition in asked)  # noqa: SLF001

    async def _log_damage(self, asked: Mapping[TopicPartition, int]) -> None:
        """Logs a damaged batch, which is fetched again. If the broker stores it like that, it comes as an `Unreadable`
        next time.
        """
        for partition, suspicion in self._suspicions.items():
            if suspicion.fresh and partition in asked:
                suspicion.fresh = False
                log.warning(
                    "A batch is damaged; fetching it again.",
                    action="batch_damaged",
                    topic=partition.topic,
                    partition=partition.partition,
                    offset=asked[partition],
                )
                await asyncio.sleep(_PAUSE_S)

    def _take(self, fetched: Fetched, offset: int, assignment: Any) -> None:
        partition = fetched.partition
        state = assignment.state_value(partition)
        state.highwater, state.lso = fetched.highwater, fetched.last_stable
        if fetched.records:
            suspicion = self._suspicions.setdefault(partition, Suspicion())
            unpacked = Unpacked(fetched.records, offset, fetched.aborted, suspicion)
            backoff_s = self._fetcher._prefetch_backoff  # noqa: SLF001
            self._fetcher._records[partition] = _Held(partition, assignment, unpacked, backoff_s)  # noqa: SLF001

    def _refuse(self, partition: TopicPartition, offset: int, code: int) -> bool:
        """Whether the next poll raises it."""
        error = kafka.for_code(code)
        if code in _GONE:
            if self._recreation is not None:
                self._recreation.arises()
            self._fetcher._client.force_metadata_update()  # noqa: SLF001
        elif error is kafka.OffsetOutOfRangeError:
            self._fetcher._set_error(partition, kafka.OffsetOutOfRangeError({partition: offset}))  # noqa: SLF001
            return True
        elif error is kafka.TopicAuthorizationFailedError:
            self._fetcher._set_error(partition, error(partition.topic))  # noqa: SLF001
            return True
        else:
            self._warn(partition, offset, error.__name__)
        return False

    def _warn(self, partition: TopicPartition, offset: int, error: str) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._said_at.get(partition, -_AGAIN_AFTER_S) + _AGAIN_AFTER_S:
            return
        self._said_at[partition] = now
        log.warning(
            "Kafka does not return the next records of a partition; trying again. If the broker cannot be mended, "
            "`sluice progress skip` goes on behind it.",
            action="fetch_refused",
            topic=partition.topic,
            partition=partition.partition,
            offset=offset,
            error=error,
        )


def _much(held: object) -> bool:
    return isinstance(held, _Held) and held.unpacked.fetched_bytes > _LITTLE_BYTES
