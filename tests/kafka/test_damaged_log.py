"""A batch that is damaged on the broker's disk is a dead letter, and its partition continues."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from asyncpg import Pool

from tests.runtime.ledgerbook import OUTPUT, TOPIC, book, rows, spec_of
from tests.support.brokers import Broker
from tests.support.kafka import KafkaServer, demand, real_kafka
from tests.support.workers import running


@pytest.fixture
def own_kafka() -> Iterator[KafkaServer]:
    """A broker whose files may be changed: nobody else uses it."""
    demand()
    with real_kafka() as server:
        yield server


@pytest.mark.kafka
async def test_a_batch_that_is_damaged_on_the_brokers_disk_is_a_dead_letter(
    database: str, pool: Pool, own_kafka: KafkaServer
) -> None:
    await book(pool)
    broker = Broker("kafka", own_kafka.bootstrap)
    await broker.create(TOPIC, OUTPUT, "dead.letters", partitions=1)
    for value in (b"1", b"22222222", b"3"):
        await broker.produce(TOPIC, [(b"k", value)], partition=0)
    [log] = own_kafka.folder.glob(f"**/{TOPIC}-0/*.log")
    _overwrite(log, b"22222222", b"22222223")

    async with running(spec_of(), database, broker):
        await broker.caught_up(pool, TOPIC)

    assert await rows(pool) == [1, 3]
    [letter] = await broker.read("dead.letters", 1)
    assert letter.header("error") == b"batch: its checksum is wrong (offsets 1 to 1)"
    assert (letter.header("source_offset"), letter.header("source_last_offset")) == (b"1", b"1")
    assert b"22222223" in (letter.value or b"")


def _overwrite(file: Path, known: bytes, other: bytes) -> None:
    """In place: the broker has the file open, and sends from it what it is asked for."""
    with file.open("r+b") as log:
        whole = log.read()
        assert whole.count(known) == 1
        log.seek(whole.index(known))
        log.write(other)
