"""Receivers are killed, and Kafka is away: what a provider was told is taken was taken, and every message is applied
once, however often it came.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from signal import SIGKILL
from typing import Final

import httpx
import pytest

from connectors.simulator.played import Said, played
from tests.acceptance.stage import now
from tests.faults.connected import Connected, address_of, alone, free_port
from tests.faults.process import Fault, WorkerProcess
from tests.support.kafka import KafkaServer, demand, real_kafka
from workers.errors import ExitCode

pytestmark = [pytest.mark.kafka]

MEBIBYTE: Final = 1024 * 1024


@pytest.mark.asyncio(loop_scope="module")
async def test_a_receiver_killed_again_and_again_loses_nothing_and_doubles_nothing(connectors: Connected) -> None:
    receiver = await connectors.receiver(Fault("producing", 10))
    texts = []
    for fault in (Fault("acknowledged", 10), Fault("producing"), Fault("acknowledged", 40), None):
        texts += say(connectors, 30)
        assert await receiver.ended() == -SIGKILL, receiver.tail()
        receiver = await connectors.receiver(fault)
    await connectors.provider.has_told_everything()
    assert await receiver.stop() == ExitCode.CLEAN, receiver.tail()
    await assert_applied_once(connectors, texts)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_receiver_that_is_asked_to_stop_answers_what_it_accepted(connectors: Connected) -> None:
    texts = []
    for _ in range(2):
        receiver = await connectors.receiver()
        texts += say(connectors, 60)
        await asyncio.sleep(0.2)
        assert await receiver.stop() == ExitCode.CLEAN, receiver.tail()
    await connectors.receiver()
    await connectors.provider.has_told_everything()
    await assert_applied_once(connectors, texts)


@pytest.fixture
def own_kafka() -> Iterator[KafkaServer]:
    """A broker that may be killed: nobody else uses it."""
    demand()
    with real_kafka() as server:
        yield server


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


def say(connectors: Connected, count: int) -> list[str]:
    """So many people write on each channel, now; the texts."""
    texts = []
    for _ in range(count):
        number = connectors.next_number()
        for channel in connectors.channels.values():
            texts.append(f"{channel.channel_id} {number}")
            connectors.provider.say(channel, address_of(channel.channel_id, number), texts[-1])
    return texts


def memory(process: WorkerProcess) -> int:
    """Bytes that the process has in memory."""
    [line] = [line for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) * 1024


async def assert_applied_once(connectors: Connected, texts: list[str]) -> None:
    """Every text is one message."""
    stage = connectors.stage
    await stage.broker.caught_up(stage.pool, "messages.inbound")
    accepted = [json.loads(record.value or b"") for record in await stage.broker.read_all("messages.accepted")]
    # Those of `hook` are nobody's to repeat: some came through, and others did not.
    ids = {
        out["message_id"]: out["content"]["text"]
        for out in accepted
        if out["workspace_id"] == connectors.workspace.id and not out["content"]["text"].startswith("x")
    }
    assert Counter(ids.values()) == Counter(texts), connectors.told()
