"""Key, headers, timestamp and batch are input like the value: none of them stops a worker."""

from typing import Final

import pytest
from asyncpg import Pool

from tests.runtime.ledgerbook import OUTPUT, TOPIC, book, rows, spec_of
from tests.support.batches import batch, plain, record
from tests.support.brokers import Broker
from tests.support.workers import running

DEAD: Final = "dead.letters"
BAD: Final = b"x-\xff\xfe"
HEADERS: Final = [(b"fine", b"1"), (BAD, b"2"), (b"none", None)]


@pytest.fixture
async def booked(pool: Pool, any_broker: Broker) -> Pool:
    await book(pool)
    anytime = {f"message.timestamp.{side}.max.ms": str(2**63 - 1) for side in ("before", "after")}
    await any_broker.create(TOPIC, OUTPUT, DEAD, configs=anytime)
    return pool


async def applied(database: str, booked: Pool, broker: Broker) -> list[int]:
    """What a worker has applied once it is through, and is gone again."""
    async with running(spec_of(), database, broker):
        await broker.caught_up(booked, TOPIC)
    return await rows(booked)


async def test_a_header_name_that_is_no_text_makes_a_dead_letter_and_nothing_else(
    database: str, booked: Pool, any_broker: Broker
) -> None:
    payload = record(0, b"1") + record(1, b"2", key=b"\xff\x00", headers=HEADERS) + record(2, b"3")
    await any_broker.produce_batch(TOPIC, batch(0, payload, 3))
    await any_broker.produce(TOPIC, [(None, b"4")], partition=0)

    assert await applied(database, booked, any_broker) == [1, 3, 4]

    [letter] = await any_broker.read(DEAD, 1)
    assert (letter.key, letter.value) == (b"\xff\x00", b"2")
    assert [value for name, value in letter.headers if name in ("source_partition", "source_offset")] == [b"0", b"1"]
    assert letter.header("error") == b"headers: the name of header 2 of 3 is not UTF-8"
    own = [header for header in letter.headers if header[0] in ("fine", "x-\\xff\\xfe", "none")]
    assert own == [("fine", b"1"), ("x-\\xff\\xfe", b"2"), ("none", None)]
    assert letter.header("source_last_offset") is None


async def test_it_does_not_matter_what_stands_where_the_group_has_committed(
    database: str, booked: Pool, any_broker: Broker
) -> None:
    await any_broker.produce_batch(TOPIC, batch(0, record(0, b"1", headers=HEADERS), 1))
    await any_broker.produce(TOPIC, [(None, b"2")], partition=0)
    assert await applied(database, booked, any_broker) == [2]
    # Back behind the record, as `sluice progress skip` does, and the record once more.
    for next_offset, known in ((1, [2, 2]), (0, [2, 2, 2])):
        await booked.execute(
            "UPDATE sluice_core.progress SET next_offset = $1, last_timestamp = NULL WHERE partition = 0", next_offset
        )
        assert await applied(database, booked, any_broker) == known
    assert len(await any_broker.read(DEAD, 2)) == 2


@pytest.mark.parametrize("timestamp", [1_795_951_200_000_000, 1_795_951_200_000_000_000, -1, 253_370_764_800_000])
async def test_a_timestamp_of_another_time_is_that_of_the_poll(
    database: str, booked: Pool, any_broker: Broker, timestamp: int
) -> None:
    await any_broker.produce_batch(TOPIC, plain(0, b"1", b"no number", timestamp=timestamp))
    await any_broker.produce(TOPIC, [(None, b"2")], partition=0)
    assert await applied(database, booked, any_broker) == [1, 2]
    assert len(await any_broker.read(DEAD, 1)) == 1
    # And the record is known again by a worker that takes the partition over.
    await any_broker.produce_batch(TOPIC, plain(0, b"3", timestamp=timestamp))
    assert await applied(database, booked, any_broker) == [1, 2, 3]
    await any_broker.produce(TOPIC, [(None, b"4")], partition=0)
    assert await applied(database, booked, any_broker) == [1, 2, 3, 4]
