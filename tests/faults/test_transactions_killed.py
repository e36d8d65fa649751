"""Workers are killed while transactional producers write: committed records are applied once, the others never."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Final

import pytest
from asyncpg import Pool

from tests.kafka.test_transactions import Transactions, through, transactions
from tests.runtime.bookprocesses import Start, book_processes
from tests.runtime.ledgerbook import OUTPUT, TOPIC, book, rows
from tests.support.brokers import Broker
from tests.support.databases import until

KILLS: Final = 3


@pytest.fixture
async def start(database: str, kafka: Broker) -> AsyncIterator[Start]:
    async with book_processes(database, kafka, poll_records=3) as one:
        yield one


async def written(a: Transactions, values: range, dice: random.Random) -> list[int]:
    """Transactions over both partitions, some of them aborted; the values of those that were committed."""
    kept: list[int] = []
    for first in range(values.start, values.stop, 4):
        part = list(range(first, first + dice.randint(1, 4)))
        await a.begin()
        for value in part:
            await a.send(value % 2, value)
        if dice.random() < 0.5:
            await a.abort()
        else:
            await a.commit()
            kept += part
    return kept


@pytest.mark.kafka
async def test_what_is_committed_is_applied_once_whenever_a_worker_is_killed(
    pool: Pool, kafka: Broker, start: Start
) -> None:
    await book(pool)
    await kafka.create(TOPIC, OUTPUT, "dead.letters", partitions=2)
    async with transactions(kafka, "a") as a, transactions(kafka, "b") as b:
        writing = [
            asyncio.create_task(written(a, range(1_000, 1_800), random.Random(1))),  # noqa: S311 - repeatable
            asyncio.create_task(written(b, range(5_000, 5_800), random.Random(2))),  # noqa: S311
        ]
        for kill in range(1, KILLS + 1):
            worker = await start()
            await until(pool, "SELECT count(*) >= $1 FROM book", 20 * kill)
            worker.kill()
            await worker.wait()
        kept = [value for part in await asyncio.gather(*writing) for value in part]
        await start()
        await through(kafka, pool)
    assert await rows(pool) == sorted(kept)
    assert await pool.fetchval("SELECT count(*) FROM sluice.dead_letters") == 0
