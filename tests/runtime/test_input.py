"""The input on its own: what it must not hand on, and what it does when a poll fails half way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import CorruptRecordException

from tests.runtime.ledgerbook import TOPIC
from tests.support.brokers import Broker
from workers.errors import PositionLost
from workers.runtime.batch import Source
from workers.runtime.connection import PollLimits
from workers.runtime.consumer import KafkaInput
from workers.runtime.ports import Assigned, Event, Idle, Records, Revoked, Stopping

FIRST, SECOND = Source(TOPIC, 0), Source(TOPIC, 1)


@asynccontextmanager
async def consuming(broker: Broker) -> AsyncIterator[KafkaInput]:
    await broker.create(TOPIC)
    limits = PollLimits(wait_ms=100, fetch_max_wait_ms=20)
    input_ = KafkaInput(broker.cluster(), f"{broker.group_prefix}-input", [TOPIC], limits)
    await input_.start()
    try:
        seek(input_, await something(input_))
        yield input_
    finally:
        await input_.stop()


def seek(input_: KafkaInput, event: Event) -> None:
    assert isinstance(event, Assigned)
    for source in event.sources:
        input_.seek(source, 0)


async def something(input_: KafkaInput) -> Event:
    """The next event that is not that nothing came."""
    while isinstance(event := await asyncio.wait_for(input_.next(), 30), Idle):
        pass
    return event


async def offsets(input_: KafkaInput, count: int) -> dict[Source, list[int]]:
    """Of the next records."""
    found: dict[Source, list[int]] = {}
    while sum(map(len, found.values())) < count:
        event = await something(input_)
        assert isinstance(event, Records)
        for source, records in event.slices.items():
            found.setdefault(source, []).extend(record.offset for record in records)
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


def failing_once(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """The second of two partitions that are ready cannot be read, for once."""
    read: Any = FetchResult.getall
    failed: list[bool] = []
    drained: list[Any] = []

    def getall(result: Any, max_records: int | None = None) -> Any:
        if drained and result._topic_partition not in drained and not failed:  # noqa: SLF001
            failed.append(True)
            raise error
        records = read(result, max_records)
        if records:
            drained.append(result._topic_partition)  # noqa: SLF001
        return records

    monkeypatch.setattr(FetchResult, "getall", getall)


async def both_ready(broker: Broker) -> None:
    for partition in (0, 1):
        await broker.produce(TOPIC, [(None, b"1")] * 3, partition=partition)
    await asyncio.sleep(0.5)  # they are fetched ahead


async def test_what_a_poll_had_read_before_it_failed_is_read_again(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with consuming(broker) as input_:
        await both_ready(broker)
        failing_once(monkeypatch, CorruptRecordException("Invalid CRC"))
        assert isinstance(await something(input_), Revoked)
        again = await something(input_)
        seek(input_, again)
        assert await offsets(input_, 6) == {FIRST: [0, 1, 2], SECOND: [0, 1, 2]}


async def test_a_record_that_the_client_cannot_read_is_told_with_what_to_do(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with consuming(broker) as input_:
        await both_ready(broker)
        failing_once(monkeypatch, UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"))
        with pytest.raises(PositionLost, match="header.*not UTF-8.*sluice progress skip"):
            await something(input_)
