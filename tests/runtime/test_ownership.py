"""Who may apply a partition: rebalances, zombies, fences, and topics that are not what they were.

Rebalances between two members run on Apache Kafka only: the embedded broker keeps members that have joined anew under
another id, and refuses the leader's assignment (`InvalidRequest` on SyncGroup) until their sessions time out.
"""

import asyncio
from collections import Counter
from uuid import uuid4

import pytest
from asyncpg import Pool

from tests.runtime.ledgerbook import OUTPUT, TOPIC, book, rows, spec_of
from tests.support.brokers import Broker
from tests.support.databases import until
from tests.support.probes import HoldAt
from tests.support.workers import running
from workers.dev.broker import embedded_broker
from workers.errors import ExitCode, PositionLost, SetupError
from workers.records import Partition
from workers.runtime.ledger import PostgresLedger

OWNERS = "SELECT count(DISTINCT lease) = $1 FROM sluice_core.progress WHERE lease IS NOT NULL"


def records(first: int, last: int) -> list[tuple[bytes | None, bytes | None]]:
    return [(b"k%d" % n, b"%d" % n) for n in range(first, last)]


@pytest.fixture
async def booked(pool: Pool) -> Pool:
    await book(pool)
    return pool


@pytest.mark.kafka
async def test_two_workers_share_partitions_and_apply_every_record_once(
    database: str, booked: Pool, kafka: Broker
) -> None:
    async with running(spec_of(), database, kafka) as first:
        await kafka.produce(TOPIC, records(100, 200))
        async with running(spec_of(), database, kafka) as second:
            await until(booked, OWNERS, 2)
            await kafka.produce(TOPIC, records(200, 400))
            await kafka.caught_up(booked, TOPIC)
            assert await second.stop() is ExitCode.CLEAN
        await kafka.produce(TOPIC, records(400, 500))
        await kafka.caught_up(booked, TOPIC)
        assert await first.stop() is ExitCode.CLEAN
    assert await rows(booked) == list(range(100, 500))
    published = await kafka.read_all(OUTPUT)
    assert {int(record.value or b"") for record in published} == set(range(100, 500))


@pytest.mark.kafka
async def test_a_rebalance_under_load_loses_and_repeats_nothing(database: str, booked: Pool, kafka: Broker) -> None:
    async def load() -> None:
        for start in range(1000, 3000, 100):
            await kafka.produce(TOPIC, records(start, start + 100))

    async with running(spec_of(), database, kafka):
        loading = asyncio.create_task(load())
        async with running(spec_of(), database, kafka):
            await until(booked, OWNERS, 2)
        await loading
        await kafka.caught_up(booked, TOPIC)
    assert await rows(booked) == list(range(1000, 3000))
    by_id = Counter(record.header("ce_id") for record in await kafka.read_all(OUTPUT))
    assert len(by_id) == 2000


async def test_a_batch_in_flight_that_is_fenced_changes_nothing_and_ends_the_worker(
    database: str, booked: Pool, any_broker: Broker
) -> None:
    hold = HoldAt("polled")
    await any_broker.create(TOPIC, OUTPUT)
    await any_broker.produce(TOPIC, records(100, 150), partition=0)
    await any_broker.produce(TOPIC, records(200, 250), partition=1)
    async with running(spec_of(), database, any_broker, probe=hold) as worker:
        await asyncio.wait_for(hold.reached.wait(), 30)
        # Another owner takes partition 0 while the poll is in flight.
        await booked.execute("UPDATE sluice_core.progress SET lease = $1 WHERE partition = 0", uuid4())
        hold.go.set()
        assert await worker.ended() is ExitCode.FENCED
    assert set(await rows(booked)) <= set(range(200, 250))
    async with running(spec_of(), database, any_broker):
        await any_broker.caught_up(booked, TOPIC)
    assert await rows(booked) == [*range(100, 150), *range(200, 250)]


async def test_an_heir_ends_the_zombie_that_holds_its_row(database: str, booked: Pool, broker: Broker) -> None:
    hold = HoldAt("before_commit")
    await broker.create(TOPIC, OUTPUT)
    await broker.produce(TOPIC, records(100, 110), partition=0)
    async with running(spec_of(), database, broker, probe=hold) as zombie:
        await asyncio.wait_for(hold.reached.wait(), 30)
        # The worker is paused in its transaction; the next owner asks for its partition.
        after_crash = PostgresLedger(booked, "sluice-book", "heir")
        await after_crash.open()
        taken = await after_crash.take(1_000, Partition(TOPIC, 0))
        assert taken is not None
        assert taken.next_offset is None
        hold.go.set()
        assert await zombie.ended() is ExitCode.FENCED
        await after_crash.release()
        await after_crash.close()
    assert await rows(booked) == []


async def test_a_topic_made_anew_is_not_taken_for_the_old_one(database: str, booked: Pool) -> None:
    for last in (150, 160):
        with embedded_broker() as bootstrap:
            broker = Broker("embedded", bootstrap)
            await broker.create(TOPIC, OUTPUT)
            await broker.produce(TOPIC, records(100, last), partition=0)
            if last == 150:
                async with running(spec_of(), database, broker):
                    await broker.caught_up(booked, TOPIC)
            else:
                with pytest.raises(PositionLost, match="holds another record at offset 49"):
                    async with running(spec_of(), database, broker) as worker:
                        await worker.ended()
    assert await rows(booked) == list(range(100, 150))


async def test_a_position_beyond_the_topic_stops_the_worker(database: str, booked: Pool) -> None:
    with embedded_broker() as bootstrap:
        broker = Broker("embedded", bootstrap)
        async with running(spec_of(), database, broker):
            await broker.produce(TOPIC, records(100, 150), partition=0)
            await broker.caught_up(booked, TOPIC)
    with embedded_broker() as bootstrap:
        broker = Broker("embedded", bootstrap)
        with pytest.raises(PositionLost, match="next record to apply is 50, but the topic holds 0 to 0"):
            async with running(spec_of(), database, broker) as worker:
                await worker.ended()


async def test_kafka_ahead_of_a_restored_database_means_reading_again(
    database: str, booked: Pool, any_broker: Broker
) -> None:
    async with running(spec_of(), database, any_broker):
        await any_broker.produce(TOPIC, records(100, 150), partition=0)
        await any_broker.caught_up(booked, TOPIC)
    # The backup knew the first twenty records.
    await booked.execute("DELETE FROM book WHERE at >= 20")
    await booked.execute("UPDATE sluice_core.progress SET next_offset = 20, last_crc = NULL WHERE partition = 0")
    async with running(spec_of(), database, any_broker):
        await any_broker.caught_up(booked, TOPIC)
    assert await rows(booked) == list(range(100, 150))


async def test_another_group_on_one_database_is_refused(database: str, booked: Pool, broker: Broker) -> None:
    async with running(spec_of(), database, broker):
        await broker.produce(TOPIC, records(100, 110))
        await broker.caught_up(booked, TOPIC)
    other = Broker(broker.kind, broker.bootstrap, group_prefix="other")
    with pytest.raises(SetupError, match="bound to the group prefix sluice, and SLUICE_GROUP_PREFIX is other"):
        async with running(spec_of(), database, other) as worker:
            await worker.ended()
