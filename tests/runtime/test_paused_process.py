"""A process that is paused for longer than its session, and then wakes up among its heirs."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from asyncpg import Pool

from tests.runtime.ledgerbook import OUTPUT, TOPIC, book, rows
from tests.support.brokers import Broker
from tests.support.databases import until
from workers.errors import ExitCode

ROOT = Path(__file__).resolve().parents[2]
SESSION_MS = 6_000
TAKEN = "SELECT count(*) = 4 FROM sluice_core.progress WHERE owner LIKE '%/' || $1 || '/%'"

Start = Callable[[], Awaitable[asyncio.subprocess.Process]]


@pytest.fixture
async def start(database: str, kafka: Broker) -> AsyncIterator[Start]:
    """Starts a worker process; whatever is left of it at the end is killed."""
    told = {
        "SLUICE_DATABASE_URL": database,
        "SLUICE_KAFKA_BOOTSTRAP": kafka.bootstrap,
        "SLUICE_TOPIC_PREFIX": kafka.topic_prefix,
        "SLUICE_GROUP_PREFIX": kafka.group_prefix,
        "SLUICE_SESSION_TIMEOUT_MS": str(SESSION_MS),
        "SLUICE_POLL_RECORDS": "20",
        "SLUICE_LOG_LEVEL": "error",
    }
    started = []

    async def one() -> asyncio.subprocess.Process:
        command = (sys.executable, "-m", "tests.runtime.bookworker")
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=os.environ | told)
        started.append(process)
        return process

    yield one
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.wait()


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
    heir = await start()
    await kafka.caught_up(pool, TOPIC, timeout_s=60)

    zombie.send_signal(signal.SIGCONT)
    await kafka.produce(TOPIC, [(b"k%d" % n, b"%d" % n) for n in range(4_000, 5_000)])
    await kafka.caught_up(pool, TOPIC, timeout_s=60)
    for process in (zombie, heir):
        if process.returncode is None:
            process.terminate()
    # In flight when it was paused: fenced. Between two polls: it has joined the group again.
    assert await asyncio.wait_for(zombie.wait(), 30) in (ExitCode.FENCED, ExitCode.CLEAN)
    assert await asyncio.wait_for(heir.wait(), 30) == ExitCode.CLEAN

    assert await rows(pool) == list(range(1_000, 5_000))
    published = await kafka.read_all(OUTPUT)
    assert {int(record.value or b"") for record in published} == set(range(1_000, 5_000))
    assert await pool.fetchval("SELECT count(*) FROM sluice_core.owed") == 0
