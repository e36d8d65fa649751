"""The input alone: what it must not hand over, and what it does when a poll fails half way."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from structlog.testing import capture_logs

from tests.runtime.ledgerbook import TOPIC
from tests.support.batches import batch, record
from tests.support.bombs import CODECS, squeezed
from tests.support.brokers import Broker
from workers.errors import Unreachable
from workers.kafka import fetching
from workers.kafka.connection import Kafka, PollLimits
from workers.kafka.consumer import KafkaInput
from workers.records import Partition
from workers.runtime.ports import Assigned, Idle, InputEvent, Records, Stopping

FIRST, SECOND = Partition(TOPIC, 0), Partition(TOPIC, 1)


@asynccontextmanager
async def consuming(broker: Broker, records: int = 2_000) -> AsyncIterator[KafkaInput]:
    await broker.create(TOPIC)
    limits = PollLimits(records, wait_ms=100, fetch_max_wait_ms=20)
    input_ = KafkaInput(broker.cluster(), f"{broker.group_prefix}-input", [TOPIC], limits)
    await input_.start()
    try:
        seek(input_, await something(input_))
        yield input_
    finally:
        await input_.stop()


def seek(input_: KafkaInput, event: InputEvent) -> None:
    assert isinstance(event, Assigned)
    for source in event.sources:
        input_.seek(source, 0)


async def something(input_: KafkaInput) -> InputEvent:
    """The next event that is not that nothing came."""
    while isinstance(event := await asyncio.wait_for(input_.next(), 30), Idle):
        pass
    return event


async def offsets(input_: KafkaInput, count: int) -> dict[Partition, list[int]]:
    """Of the next records."""
    found: dict[Partition, list[int]] = {}
    while sum(map(len, found.values())) < count:
        event = await something(input_)
        assert isinstance(event, Records)
        for source, part in event.slices.items():
            found.setdefault(source, []).extend(record.offset for record in part.records)
    return found


async def test_what_is_read_between_a_doubt_and_the_next_assignment_does_not_count(broker: Broker) -> None:
    async with consuming(broker) as input_:
        await broker.produce(TOPIC, [(None, b"1")] * 3, partition=0)
        assert await offsets(input_, 3) == {FIRST: [0, 1, 2]}
        # As when a fetch is told that its partition is not there: whatever was handed on is dropped.
        input_._expire()  # noqa: SLF001
        await broker.produce(TOPIC, [(None, b"1")] * 3, partition=0)
        asking = asyncio.create_task(input_.next())
        await asyncio.wait({asking}, timeout=2)
        assert not asking.done()
        input_.stop_polling()
        assert await asyncio.wait_for(asking, 30) == Stopping()


async def test_where_little_comes_one_poll_brings_all_that_came_since_the_last_one(broker: Broker) -> None:
    async with consuming(broker) as input_:
        await broker.produce(TOPIC, [(None, b"1")], partition=0)
        assert await offsets(input_, 1) == {FIRST: [0]}
        for partition in (0, 1):
            await broker.produce(TOPIC, [(None, b"1")], partition=partition)
            await asyncio.sleep(0.03)  # long enough to be fetched ahead alone, and too short for aiokafka to look again
        event = await something(input_)
        assert isinstance(event, Records)
        assert event.slices.keys() == {FIRST, SECOND}


async def backlog(broker: Broker, records: int) -> None:
    """So many records in each of three partitions, in one batch each: a fetch brings all of it."""
    async with broker.producer(max_batch_size=1_000_000, linger_ms=200) as producer:
        waiting = [
            await producer.send(broker.topic_prefix + TOPIC, b"x" * 1_000, partition=partition)
            for _ in range(records)
            for partition in (0, 1, 2)
        ]
        await asyncio.gather(*waiting)


async def test_one_record_does_not_wait_for_the_backlog_of_other_partitions(broker: Broker) -> None:
    async with consuming(broker, records=20) as input_:
        await backlog(broker, 900)
        await offsets(input_, 60)
        for n in range(3):
            await broker.produce(TOPIC, [(None, b"1")], partition=3)
            await asyncio.sleep(0.5)  # it is fetched
            polls = [await something(input_) for _ in range(4)]
            assert [poll for poll in polls if isinstance(poll, Records) and Partition(TOPIC, 3) in poll.slices], n


@contextmanager
def occupied() -> Iterator[None]:
    """The thread that inflates large batches has something else to do."""
    over = threading.Event()
    fetching._ONE_AFTER_THE_OTHER.submit(over.wait)  # noqa: SLF001
    try:
        yield
    finally:
        over.set()


async def test_a_poll_with_other_records_does_not_wait_for_a_large_batch(broker: Broker) -> None:
    many = batch(0, squeezed("zstd", (record(n, b"x" * 250_000) for n in range(20))), 20, attributes=CODECS["zstd"])
    async with consuming(broker, records=8) as input_:
        with occupied():
            await broker.produce_batch(TOPIC, many, partition=0)
            await broker.produce_batch(TOPIC, many, partition=2)
            await asyncio.sleep(0.3)  # they are fetched
            for n in range(3):
                await broker.produce(TOPIC, [(None, b"1")], partition=1)
                assert await offsets(input_, 1) == {SECOND: [n]}
        found = await offsets(input_, 40)
        await broker.produce(TOPIC, [(None, b"1")], partition=0)
        assert await offsets(input_, 1) == {FIRST: [20]}
    assert found == {FIRST: list(range(20)), Partition(TOPIC, 2): list(range(20))}


async def test_a_large_batch_that_is_inflated_too_late_does_not_come_after_a_seek(broker: Broker) -> None:
    many = batch(0, squeezed("zstd", (record(n, b"x" * 250_000) for n in range(20))), 20, attributes=CODECS["zstd"])
    async with consuming(broker) as input_:
        await broker.produce_batch(TOPIC, many, partition=0)
        with occupied():
            assert isinstance(await asyncio.wait_for(input_.next(), 30), Idle)
            input_.seek(FIRST, 15)
            assert isinstance(await asyncio.wait_for(input_.next(), 30), Idle)
        assert await offsets(input_, 5) == {FIRST: list(range(15, 20))}


async def test_backlogs_are_read_in_turn(broker: Broker) -> None:
    await broker.create(TOPIC)
    await backlog(broker, 600)
    async with consuming(broker, records=20) as input_:
        found = await offsets(input_, 900)
    assert sorted(found) == [Partition(TOPIC, n) for n in (0, 1, 2)]
    assert max(map(len, found.values())) < 600


async def test_a_member_waits_for_a_broker_that_is_away() -> None:
    loop = asyncio.get_running_loop()
    input_ = KafkaInput(Kafka("127.0.0.1:1"), "g", ["t"], PollLimits(), unreachable_after_s=0.5)
    began = loop.time()

    with pytest.raises(Unreachable, match=r"could not be read for 0\.5 s"), capture_logs() as logs:
        await input_.start()

    assert loop.time() - began >= 0.5
    assert {log["log_level"] for log in logs} == {"debug"}
