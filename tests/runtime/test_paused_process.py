"""A process that is paused for longer than its session, and wakes up after the next owner has taken over."""

import asyncio
import signal
from collections.abc import AsyncIterator

import pytest
from asyncpg import Pool

from tests.runtime.bookprocesses import Start, book_processes
from tests.runtime.ledgerbook import OUTPUT, TOPIC, book, rows
from tests.support.brokers import Broker
from tests.support.databases import until
from workers.errors import ExitCode

TAKEN = "SELECT count(*) = 4 FROM sluice_core.progress WHERE owner LIKE '%/' || $1 || '/%'"


@pytest.fixture
async def start(database: str, kafka: Broker) -> AsyncIterator[Start]:
    async with book_processes(database, kafka, poll_records=20) as one:
        yield one


@pytest.mark.kafka
async def test_a_zombie_that_wakes_up_applies_nothing_twice(pool: Pool, kafka: Broker, start: Start) -> None:
    await book(pool)
    await kafka.create(TOPIC, OUTPUT, "dead.letters")
    zombie = await start()
    await until(pool, TAKEN, str(zombie.pid))

    await kafka.produce(TOPIC, [(b"k%d" % n, b"%d" % n) for n in range(1_000, 4_000)])
    await until(pool, "SELECT count(*) > 100 FROM book")
    zombie.send_signal(signal.SIGSTOP)
    assert len(await rows(pool)) < 3_000, "it had finished before it could be paused"
    after_crash = await start()
    await kafka.caught_up(pool, TOPIC, timeout_s=60)

    zombie.send_signal(signal.SIGCONT)
    await kafka.produce(TOPIC, [(b"k%d" % n, b"%d" % n) for n in range(4_000, 5_000)])
    await kafka.caught_up(pool, TOPIC, timeout_s=60)
    for process in (zombie, after_crash):
        if process.returncode is None:
            process.terminate()
    # In flight when it was paused: fenced. Between two polls: it has joined the group again.
    assert await asyncio.wait_for(zombie.wait(), 30) in (ExitCode.FENCED, ExitCode.CLEAN)
    assert await asyncio.wait_for(after_crash.wait(), 30) == ExitCode.CLEAN

    assert await rows(pool) == list(range(1_000, 5_000))
    published = await kafka.read_all(OUTPUT)
    assert {int(record.value or b"") for record in published} == set(range(1_000, 5_000))
    assert await pool.fetchval("SELECT count(*) FROM sluice_core.batch_outbox") == 0
