"""Input that transactional producers write: read committed, and what no consumer is given counts as applied.

The embedded broker knows no transactions.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from asyncpg import Pool
from prometheus_client import REGISTRY

from tests.runtime.ledgerbook import OUTPUT, TOPIC, book, rows, spec_of
from tests.support.brokers import Broker
from tests.support.databases import until
from tests.support.workers import running
from workers.errors import ExitCode, PositionLost

pytestmark = pytest.mark.kafka
GROUP: Final = "book"
STANDS: Final = "SELECT partition, next_offset, last_offset FROM sluice_core.progress ORDER BY partition"


@pytest.fixture
async def booked(pool: Pool, kafka: Broker) -> Pool:
    await book(pool)
    await kafka.create(TOPIC, OUTPUT, "dead.letters", partitions=2)
    return pool


class Transactions:
    """One transactional producer."""

    def __init__(self, broker: Broker, producer: Any) -> None:
        self._topic = broker.topic_prefix + TOPIC
        self._producer = producer

    async def begin(self) -> None:
        await self._producer.begin_transaction()

    async def send(self, partition: int, *values: int) -> None:
        for value in values:
            await self._producer.send_and_wait(self._topic, b"%d" % value, b"k", partition)

    async def commit(self) -> None:
        await self._producer.commit_transaction()

    async def abort(self) -> None:
        await self._producer.abort_transaction()


@asynccontextmanager
async def transactions(broker: Broker, name: str) -> AsyncIterator[Transactions]:
    async with broker.producer(transactional_id=broker.group_prefix + name) as producer:
        yield Transactions(broker, producer)


async def through(broker: Broker, booked: Pool) -> None:
    """Waits until everything is applied, and Kafka has been told so."""
    await broker.caught_up(booked, TOPIC)
    ends = await broker.ends(TOPIC)
    async with asyncio.timeout(30):
        while await broker.committed(f"{broker.group_prefix}-{GROUP}", TOPIC) != ends:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def test_transactions_that_lie_between_each_other_are_read_committed(
    database: str, booked: Pool, kafka: Broker
) -> None:
    async with running(spec_of(), database, kafka), transactions(kafka, "a") as a, transactions(kafka, "b") as b:
        await a.begin()
        await b.begin()
        await a.send(0, 100, 101)
        await b.send(0, 200)
        await b.send(1, 201)
        await kafka.produce(TOPIC, [(None, b"1")], partition=0)
        await a.send(1, 102)
        await a.abort()
        await b.send(0, 202)
        await b.commit()
        await through(kafka, booked)
        assert await rows(booked) == [1, 200, 201, 202]
        # Nothing but what no consumer is given: an aborted transaction, and its marker.
        await a.begin()
        await a.send(0, 103)
        await a.abort()
        await through(kafka, booked)
    assert await rows(booked) == [1, 200, 201, 202]
    assert await booked.fetchval("SELECT count(*) FROM sluice.dead_letters") == 0


async def test_a_transaction_that_does_not_end_holds_its_partition_back_and_the_lag_tells(
    database: str, booked: Pool, kafka: Broker
) -> None:
    async with running(spec_of(), database, kafka), transactions(kafka, "a") as a:
        await kafka.produce(TOPIC, [(None, b"1")], partition=0)
        await kafka.caught_up(booked, TOPIC)
        await a.begin()
        await a.send(0, 100)
        await kafka.produce(TOPIC, [(None, b"2")], partition=0)
        await kafka.produce(TOPIC, [(None, b"3")], partition=1)
        await until(booked, "SELECT count(*) = 2 FROM book")
        async with asyncio.timeout(30):
            while _lag(0) != 2:  # noqa: ASYNC110 - nothing else tells
                await asyncio.sleep(0.05)
        assert await rows(booked) == [1, 3]
        await a.commit()
        await through(kafka, booked)
        async with asyncio.timeout(30):
            while _lag(0) != 0:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    assert await rows(booked) == [1, 2, 3, 100]


def _lag(partition: int) -> float | None:
    labels = {"topic": TOPIC, "partition": str(partition)}
    return REGISTRY.get_sample_value("sluice_lag_records", labels)


@pytest.mark.parametrize("commits", [True, False])
async def test_a_worker_comes_and_goes_while_transactions_are_open(
    database: str, booked: Pool, kafka: Broker, *, commits: bool
) -> None:
    async with transactions(kafka, "a") as a:
        async with running(spec_of(), database, kafka):
            await kafka.produce(TOPIC, [(None, b"1")], partition=0)
            await kafka.caught_up(booked, TOPIC)
            await a.begin()
            await a.send(0, 100)
        async with running(spec_of(), database, kafka) as worker:
            await (a.commit if commits else a.abort)()
            await through(kafka, booked)
            assert await worker.stop() is ExitCode.CLEAN
        # The last record that was read lies before what no consumer is given.
        last = 1 if commits else 0
        assert [tuple(row) for row in await booked.fetch(STANDS)][:1] == [(0, 3, last)]
        async with running(spec_of(), database, kafka):
            await kafka.produce(TOPIC, [(None, b"2")], partition=0)
            await through(kafka, booked)
    assert await rows(booked) == [1, 2] + [100] * commits
    assert [tuple(row) for row in await booked.fetch(STANDS)][:1] == [(0, 4, None)]


async def test_a_topic_made_anew_is_noticed_behind_a_control_record(database: str, booked: Pool, kafka: Broker) -> None:
    async with running(spec_of(), database, kafka), transactions(kafka, "a") as a:
        await a.begin()
        await a.send(0, 100, 101)
        await a.commit()
        await through(kafka, booked)
    await booked.execute("UPDATE sluice_core.progress SET last_crc = last_crc # 1 WHERE partition = 0")
    with pytest.raises((PositionLost, AssertionError), match="another record at offset 1 "):
        async with running(spec_of(), database, kafka) as worker:
            await worker.ended()
    # Where that record is gone, nothing can be known, and nothing is lost.
    await _delete(kafka, until=2)
    async with running(spec_of(), database, kafka):
        await kafka.produce(TOPIC, [(None, b"1")], partition=0)
        await through(kafka, booked)
    assert await rows(booked) == [1, 100, 101]


async def _delete(broker: Broker, until: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(broker.topic_prefix + TOPIC, 0): RecordsToDelete(until)})
    finally:
        await admin.close()
