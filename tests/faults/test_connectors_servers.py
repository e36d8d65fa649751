"""PostgreSQL and Kafka go away and come back while senders work: they go on, and nothing is sent twice."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.connected import Connected, alone, text_of
from tests.faults.postgres import OwnPostgres, own_postgres
from tests.support.databases import Databases
from tests.support.kafka import KafkaServer, demand, real_kafka
from workers.errors import ExitCode

pytestmark = [pytest.mark.kafka]


@pytest.fixture
def own_kafka() -> Iterator[KafkaServer]:
    """A broker that may be killed: nobody else uses it."""
    demand()
    with real_kafka() as server:
        yield server


@pytest.fixture
def own() -> Iterator[OwnPostgres]:
    with own_postgres() as server:
        yield server


async def test_senders_outlive_a_restart_of_postgresql(
    own: OwnPostgres, own_kafka: KafkaServer, tmp_path: Path
) -> None:
    async with (
        Databases(own.url, "sluice_own").migrated() as database,
        alone(own_kafka, database, tmp_path) as connectors,
    ):
        await restarts(connectors, own.crash, own.start)


async def test_senders_outlive_a_restart_of_kafka(own_kafka: KafkaServer, database: str, tmp_path: Path) -> None:
    async with alone(own_kafka, database, tmp_path) as connectors:
        await restarts(connectors, own_kafka.kill, own_kafka.start)


async def restarts(connectors: Connected, stop: Callable[[], None], start: Callable[[], None]) -> None:
    """A server goes away and comes back twice during calls; two senders go on."""
    connectors.provider.pause_s = 0.2
    senders = [await connectors.sender() for _ in range(2)]
    sends = [send for channel in connectors.channels for send in connectors.sends(150, channel)]
    await connectors.play(*sends, wait=False)
    for calls, away_s in ((60, 0.0), (180, 2.0)):
        await connectors.provider.has_heard_so_many(calls)
        await asyncio.to_thread(stop)
        await asyncio.sleep(away_s)
        await asyncio.to_thread(start)
    await connectors.settled_claims_of(*sends)

    assert [await one.stop() for one in senders] == [ExitCode.CLEAN] * 2, connectors.told()
    attempts = await connectors.attempts(*sends)
    calls = connectors.calls()
    assert {len(found) for found in attempts} == {1}
    assert max(calls.values()) == 1
    assert {status for [status] in attempts} <= {"sent", "ambiguous"}
    assert all(text_of(send) in calls for send, [status] in zip(sends, attempts, strict=True) if status == "sent")
    assert sum(status == "sent" for [status] in attempts) > 300
    await connectors.assert_committed()


async def test_a_sender_that_is_asked_to_stop_without_kafka_ends_in_time(
    own_kafka: KafkaServer, database: str, tmp_path: Path
) -> None:
    async with alone(own_kafka, database, tmp_path) as connectors:
        sends = connectors.sends(20)
        sender, gives_up = await connectors.sender(), await connectors.sender(SLUICE_UNREACHABLE_AFTER_S="5")
        await connectors.play(*sends)
        await connectors.settled()
        await asyncio.to_thread(own_kafka.pause)
        await asyncio.sleep(1)
        assert await sender.stop() == ExitCode.CLEAN, sender.tail()
        assert await gives_up.ended() == ExitCode.FAULT, gives_up.tail()
        assert gives_up.said("unreachable")
        await asyncio.to_thread(own_kafka.wake)
        assert connectors.calls() == {text_of(send): 1 for send in sends}
