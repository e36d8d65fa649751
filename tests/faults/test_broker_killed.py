"""Kafka dies without warning while outputs are published, and comes back."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from itertools import count, islice

import pytest

from schemas.ids import fact_id
from tests.support.brokers import Broker
from tests.support.kafka import KafkaServer, demand, real_kafka
from workers.errors import Unreachable
from workers.kafka.producer import KafkaOutput
from workers.process.metrics.of_workers import REBUILT
from workers.records import Event

OUTPUT = "messages.accepted"
BEFORE, AFTER, SIZE, KEYS = 30, 30, 50, 5


@pytest.fixture
def own_kafka() -> Iterator[KafkaServer]:
    """A broker that may be killed: nobody else uses it."""
    demand()
    with real_kafka() as server:
        yield server


@pytest.fixture
async def output(own_kafka: KafkaServer) -> AsyncIterator[KafkaOutput]:
    cluster = Broker("kafka", own_kafka.bootstrap).cluster()
    output = KafkaOutput(cluster, "killed", deadline_s=2.0, unreachable_after_s=60.0, request_timeout_ms=1_000)
    yield output
    await output.stop()


def poll(number: int) -> list[Event]:
    time = datetime(2026, 3, 10, tzinfo=UTC)
    numbers = range(number * SIZE, (number + 1) * SIZE)
    return [Event(OUTPUT, b"k%d" % (n % KEYS), b"%d" % n, fact_id(OUTPUT, str(n)), "w", time) for n in numbers]


@pytest.mark.kafka
async def test_everything_owed_arrives_with_first_occurrences_in_order(
    own_kafka: KafkaServer, output: KafkaOutput
) -> None:
    broker = Broker("kafka", own_kafka.bootstrap)
    await broker.create(OUTPUT)
    rebuilt = REBUILT.labels("killed")._value.get()  # noqa: SLF001 - a counter has no reader of its own
    under_way, killed = asyncio.Event(), asyncio.Event()

    async def publish() -> int:
        """Publishes until Kafka is dead, however fast it is, and then what needs it back; answers how many polls."""
        numbers = count()
        while not killed.is_set():
            await output.publish(poll(number := next(numbers)))
            if number == BEFORE:
                under_way.set()
        for number in islice(numbers, AFTER):
            await output.publish(poll(number))
        return next(numbers)

    publishing = asyncio.create_task(publish())
    await asyncio.wait_for(under_way.wait(), 30)
    await asyncio.to_thread(own_kafka.kill)
    killed.set()
    # Down for longer than a publication's deadline: its producer is thrown away.
    await asyncio.wait({publishing}, timeout=4.0)
    assert not publishing.done()
    await asyncio.to_thread(own_kafka.start)
    polls = await asyncio.wait_for(publishing, 60)

    assert REBUILT.labels("killed")._value.get() > rebuilt  # noqa: SLF001
    seen: dict[bytes | None, list[int]] = {}
    known = set()
    for record in sorted(await broker.read_all(OUTPUT), key=lambda r: (r.partition, r.offset)):
        if (identity := record.header("ce_id")) not in known:
            known.add(identity)
            seen.setdefault(record.key, []).append(int(record.value or b""))
    assert sorted(n for numbers in seen.values() for n in numbers) == list(range(polls * SIZE))
    assert all(numbers == sorted(numbers) for numbers in seen.values())


@pytest.mark.kafka
async def test_a_broker_that_stays_away_is_unreachable(own_kafka: KafkaServer) -> None:
    await Broker("kafka", own_kafka.bootstrap).create(OUTPUT)
    cluster = Broker("kafka", own_kafka.bootstrap).cluster()
    output = KafkaOutput(cluster, "away", deadline_s=1.0, unreachable_after_s=2.0, request_timeout_ms=500)
    await output.publish(poll(0))
    await asyncio.to_thread(own_kafka.kill)
    with pytest.raises(Unreachable, match="did not acknowledge"):
        await asyncio.wait_for(output.publish(poll(1)), 40)
    await output.stop()


def test_without_java_a_machine_of_ones_own_skips_and_ci_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="real Kafka needs java"):
        demand()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="real Kafka needs java"):
        demand()
