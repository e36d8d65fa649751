"""How far a partition is behind: in records, and by the Kafka timestamp of the oldest record that waits."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from asyncpg import Pool

from tests.runtime.ledgerbook import OUTPUT, TOPIC, book, spec_of
from tests.runtime.test_decoding import Raw
from tests.support.brokers import Broker
from tests.support.metrics import until, value
from tests.support.probes import HoldAt
from tests.support.workers import running
from workers.records import Partition
from workers.runtime import lag

HERE = Partition("messages.inbound", 99)


def raw(offset: int, seconds_ago: float) -> Raw:
    return Raw(offset, timestamp=int((time.time() - seconds_ago) * 1_000))


def behind() -> tuple[float | None, int | None]:
    """Records and whole seconds."""
    records, seconds = (value(f"sluice_lag_{unit}", topic=HERE.topic, partition=99) for unit in ("records", "seconds"))
    return records, None if seconds is None else int(seconds)


@pytest.fixture
def held() -> Iterator[None]:
    lag.hold(HERE, 10, 10)
    yield
    lag.release(HERE)
    assert behind() == (None, None)


@pytest.mark.usefixtures("held")
def test_the_oldest_record_that_waits_counts() -> None:
    assert behind() == (0, 0)
    lag.read(HERE, [raw(10, 100), raw(11, 90)], 14)
    assert behind() == (4, 100)
    lag.read(HERE, [raw(12, 50)], 14)
    assert behind() == (4, 100)
    lag.apply(HERE, 12, raw(11, 90))
    assert behind() == (2, 90)
    lag.apply(HERE, 13, raw(12, 50))
    lag.read(HERE, [raw(13, 20)], 14)
    assert behind() == (1, 20)
    lag.apply(HERE, 14, raw(13, 20))
    assert behind() == (0, 0)


@pytest.mark.usefixtures("held")
def test_a_record_after_a_long_silence_is_not_late() -> None:
    lag.read(HERE, [raw(10, 4_000)], 11)
    lag.apply(HERE, 11, raw(10, 4_000))
    lag.read(HERE, [raw(11, 1)], 12)
    assert behind() == (1, 1)


@pytest.mark.usefixtures("held")
def test_what_an_open_transaction_holds_back_waits_as_well() -> None:
    lag.read(HERE, (), 12)
    assert behind() == (2, 0)
    lag.read(HERE, [Raw(11, timestamp=-1)], 12)  # out of range: as old as its poll
    assert behind() == (2, 0)


def test_what_is_not_held_is_not_shown() -> None:
    lag.read(HERE, [raw(10, 100)], 14)
    lag.apply(HERE, 11, None)
    lag.release(HERE)
    assert behind() == (None, None)


async def test_records_that_are_read_and_not_applied_are_behind(database: str, pool: Pool, broker: Broker) -> None:
    def shown() -> tuple[float | None, float | None]:
        labels = {"topic": TOPIC, "partition": 0}
        return value("sluice_lag_records", **labels), value("sluice_lag_seconds", **labels)

    await book(pool)
    await broker.create(TOPIC, OUTPUT)
    hold = HoldAt("applied")
    async with running(spec_of(), database, broker, probe=hold):
        await broker.produce(TOPIC, [(b"k", b"%d" % n) for n in range(100, 105)], partition=0)
        await asyncio.wait_for(hold.reached.wait(), 30)
        await until(lambda: shown()[0] == 5)
        first = shown()[1] or 0.0
        await asyncio.sleep(0.3)
        assert (shown()[1] or 0.0) >= first + 0.3
        hold.go.set()
        await broker.caught_up(pool, TOPIC)
        await until(lambda: shown() == (0, 0))
