"""A record that ends the process of whoever applies it: it is found and set aside, and all others are applied once."""

from typing import Final

import pytest

from tests.faults import oracle
from tests.faults.process import DEADLY
from tests.faults.stage import Stage
from tests.runtime.ledgerbook import TOPIC, rows

pytestmark = pytest.mark.kafka

PLAIN: Final = range(1_000, 1_400)


async def write(book: Stage, place: int) -> None:
    """Plain numbers in three partitions, and in the second of them, after so many, the deadly one."""
    for partition in range(3):
        values = list(PLAIN[partition::3])
        if partition == 1:
            values.insert(place, DEADLY)
        await book.broker.produce(TOPIC, [(b"k%d" % (n % 7), b"%d" % n) for n in values], partition=partition)


@pytest.mark.parametrize(("place", "lives"), [(0, 5), (50, 6)])
async def test_a_record_that_ends_its_process_is_set_aside_by_an_heir(book: Stage, place: int, lives: int) -> None:
    await write(book, place)
    for _ in range(lives):
        worker = await book.fork("deadly")
        assert await worker.ended() == 9
        await book.expel("book")

    await book.fork("deadly")
    await book.broker.caught_up(book.pool, TOPIC)
    [last] = await book.stop(book.started[-1])

    assert last == 0
    assert await rows(book.pool) == list(PLAIN)
    [letter] = await book.pool.fetch("SELECT source_partition, source_offset, error FROM sluice.dead_letters")
    assert (letter["source_partition"], letter["source_offset"]) == (1, place)
    assert letter["error"].startswith("too_costly: ")
    await oracle.assert_delivered(book.pool, book.broker, [TOPIC])
