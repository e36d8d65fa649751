"""PostgreSQL and Kafka go away and come back while receivers and senders work: nothing is lost or sent twice."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from connectors.simulator.played import Said, played
from tests.acceptance.stage import now
from tests.faults.connected import Connected, alone, assert_applied_once, say, text_of
from tests.faults.postgres import OwnPostgres, own_postgres
from tests.faults.process import WorkerProcess
from tests.support.databases import Databases
from tests.support.kafka import KafkaServer, demand, real_kafka
from tests.support.ports import free_port
from workers.errors import ExitCode

pytestmark = [pytest.mark.kafka]

MEBIBYTE = 1024 * 1024


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
    for heard, away_s in ((60, 0.0), (180, 2.0)):
        await connectors.provider.has_heard_so_many(heard)
        await asyncio.to_thread(stop)
        await asyncio.sleep(away_s)
        await asyncio.to_thread(start)
    await connectors.settled_claims_of(*sends)
    await connectors.assert_committed(patience_s=30)

    assert [await one.stop() for one in senders] == [ExitCode.CLEAN] * 2, connectors.told()
    attempts = await connectors.attempts(*sends)
    calls = connectors.calls()
    assert {len(found) for found in attempts} == {1}
    assert max(calls.values()) == 1
    assert {status for [status] in attempts} <= {"sent", "ambiguous"}
    assert all(text_of(send) in calls for send, [status] in zip(sends, attempts, strict=True) if status == "sent")
    assert sum(status == "sent" for [status] in attempts) > 300


async def test_a_sender_that_is_asked_to_stop_ends_in_time_though_postgresql_stands_still(
    own: OwnPostgres, own_kafka: KafkaServer, tmp_path: Path
) -> None:
    async with (
        Databases(own.url, "sluice_own").migrated() as database,
        alone(own_kafka, database, tmp_path) as connectors,
    ):
        first, *_ = sends = connectors.sends(300)
        connectors.provider.pause_s = 0.5
        sender = await connectors.sender()
        await connectors.play(*sends, wait=False)
        await connectors.provider.has_heard(text_of(first))
        with own.standing_still():
            assert await sender.stop() == ExitCode.CLEAN, sender.tail()
        await connectors.sender()
        await connectors.settled_claims_of(*sends)
        attempts = await connectors.attempts(*sends)
        assert {len(found) for found in attempts} == {1}
        assert max(connectors.calls().values()) == 1


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


@pytest.mark.parametrize("how", ["killed", "paused"])
async def test_without_kafka_a_receiver_asks_to_come_again_and_nothing_is_lost(
    own_kafka: KafkaServer, database: str, tmp_path: Path, how: str
) -> None:
    async with alone(own_kafka, database, tmp_path) as connectors:
        await kafka_goes_and_comes(connectors, own_kafka, how)


async def kafka_goes_and_comes(connectors: Connected, kafka: KafkaServer, how: str) -> None:
    receiver = await connectors.receiver()
    texts = say(connectors, 20)
    await connectors.provider.has_told_everything()
    before = memory(receiver)

    await asyncio.to_thread(kafka.kill if how == "killed" else kafka.pause)
    texts += say(connectors, 20)
    answers = await hook(connectors, 10)
    assert {answer.status_code for answer, _ in answers} == {503}
    assert all(int(answer.headers["retry-after"]) > 0 for answer, _ in answers)
    assert max(seconds for _, seconds in answers) < 8
    if how == "paused":
        assert {answer.status_code for answer, _ in await hook(connectors, 300)} == {503}
    assert memory(receiver) - before < 150 * MEBIBYTE
    await asyncio.to_thread(kafka.start if how == "killed" else kafka.wake)

    await connectors.provider.has_told_everything()
    texts += say(connectors, 5)
    await connectors.provider.has_told_everything()
    assert await receiver.stop() == ExitCode.CLEAN, receiver.tail()
    await assert_applied_once(connectors, texts)


async def test_a_receiver_ends_if_kafka_stays_away_and_stops_when_asked_meanwhile(
    own_kafka: KafkaServer, database: str, tmp_path: Path
) -> None:
    async with alone(own_kafka, database, tmp_path) as connectors:
        await kafka_stays_away(connectors, own_kafka)


async def kafka_stays_away(connectors: Connected, kafka: KafkaServer) -> None:
    gives_up = await connectors.receiver(SLUICE_UNREACHABLE_AFTER_S="3")
    connectors.receiver_port = free_port()
    asked = await connectors.receiver()
    await asyncio.to_thread(kafka.kill)
    answers = await hook(connectors, 5)
    assert {answer.status_code for answer, _ in answers} == {503}
    assert await gives_up.ended(20) == ExitCode.FAULT, gives_up.tail()
    assert gives_up.said("unreachable")
    assert await asked.stop(30) == ExitCode.CLEAN, asked.tail()
    await asyncio.to_thread(kafka.start)


async def hook(connectors: Connected, count: int) -> list[tuple[httpx.Response, float]]:
    """So many webhooks at once, that nobody repeats; the answers and their seconds."""
    channel = connectors.channels["telegram"]
    url = f"http://127.0.0.1:{connectors.receiver_port}{channel.webhook}"

    async def one(number: int) -> tuple[httpx.Response, float]:
        webhook = played(channel.provider).say(channel, Said("77", "x" * 900, None, number, now()))
        began = time.monotonic()
        answer = await client.post(url, headers=dict(webhook.headers), content=webhook.body)
        return answer, time.monotonic() - began

    limits = httpx.Limits(max_connections=count)
    async with httpx.AsyncClient(trust_env=False, timeout=30, limits=limits) as client:
        return await asyncio.gather(*map(one, range(count)))


def memory(process: WorkerProcess) -> int:
    """Bytes that the process has in memory."""
    [line] = [line for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) * 1024
