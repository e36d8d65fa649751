"""How worker processes start, share partitions and end: `sluice worker all`, on real servers."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg
import msgspec
import pytest
from asyncpg import Pool
from structlog.testing import capture_logs

from tests.acceptance.making import Maker, key_of
from tests.cli.commands import SLUICE, STOP_S
from tests.faults.process import ENDLESS, WorkerProcess
from tests.faults.proxy import proxy, socket_of, through
from tests.faults.stage import Stage
from tests.faults.traffic import INPUTS
from tests.runtime.ledgerbook import OUTPUT, TOPIC, rows, spec_of
from tests.runtime.ledgerbook import book as book_table
from tests.support.brokers import Broker
from tests.support.databases import until
from tests.support.kafka import KafkaServer
from tests.support.ports import free_port
from tests.support.workers import running
from workers.errors import ExitCode

pytestmark = pytest.mark.kafka

LONG_SESSION_MS: Final = 45_000
BEFORE_THE_SESSION_ENDS_S: Final = 20.0
SHARED: Final = """
    SELECT count(*) = 12 AND bool_or(owner LIKE ($2::text[])[1]) AND bool_or(owner LIKE ($2::text[])[2])
    FROM sluice_core.progress WHERE topic = $1 AND lease IS NOT NULL
"""
STANDS_STILL: Final = """
    SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'
"""
BLOCKED: Final = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name LIKE $1"


async def sluice(stage: Stage, *arguments: str, **environment: str) -> WorkerProcess:
    """The command as a user starts it; ended with the stage."""
    told = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    told |= stage.environment | {f"SLUICE_{name}": value for name, value in environment.items()}
    log: Path = stage.logs / f"sluice-{len(stage.started)}.log"
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            SLUICE, *arguments, cwd=stage.logs, env=told, stdout=out, stderr=out
        )
    one = WorkerProcess(process, log)
    stage.started.append(one)
    return one


async def send(stage: Stage, count: int, first: int = 0) -> None:
    """So many messages of 500 people."""
    maker = Maker("acme")
    facts = [
        maker.message(f"{n}", address=f"+49151{n % 500:08}", provider_message_id=f"m{n}")
        for n in range(first, first + count)
    ]
    await stage.broker.produce(TOPIC, [(key_of(fact), msgspec.json.encode(fact)) for fact in facts])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
async def test_a_signal_under_load_ends_it_cleanly_and_the_heir_need_not_wait(
    everything: Stage, number: signal.Signals
) -> None:
    await send(everything, 20_000)
    worker = await sluice(everything, "worker", "all", SESSION_TIMEOUT_MS=f"{LONG_SESSION_MS}")
    await until(everything.pool, "SELECT count(*) > 1000 FROM sluice.conversation_messages")
    worker.send(number)
    assert await worker.ended(STOP_S) == ExitCode.CLEAN

    applied = await _applied(everything)
    assert 1_000 < sum(applied.values()) < 20_000
    assert await everything.pool.fetchval("SELECT count(*) FROM sluice_core.batch_outbox") == 0
    assert await everything.pool.fetchval("SELECT count(*) FROM sluice.partition_progress WHERE owner IS NOT NULL") == 0
    group = f"{everything.broker.group_prefix}-inbound"
    committed = await everything.broker.committed(group, TOPIC)
    assert {partition: offset for partition, offset in committed.items() if offset} == applied
    ids = Counter(fact.header("ce_id") for fact in await everything.broker.read_all(OUTPUT))
    assert (len(ids), set(ids.values())) == (sum(applied.values()), {1})

    after_crash = await sluice(everything, "worker", "all", SESSION_TIMEOUT_MS=f"{LONG_SESSION_MS}")
    await after_crash.has_logged("ready", BEFORE_THE_SESSION_ENDS_S)
    for again in (number, signal.SIGINT, signal.SIGTERM):
        after_crash.send(again)
    assert await after_crash.ended(STOP_S) == ExitCode.CLEAN
    assert "Traceback" not in after_crash.tail() + worker.tail()


async def _applied(stage: Stage) -> dict[int, int]:
    query = "SELECT partition, next_offset FROM sluice.partition_progress WHERE topic = $1"
    return {row["partition"]: row["next_offset"] for row in await stage.pool.fetch(query, TOPIC)}


async def test_at_the_deadline_a_transaction_that_waits_is_abandoned_and_nothing_of_it_is_applied(
    everything: Stage,
) -> None:
    worker = await sluice(everything, "worker", "all")
    await worker.has_logged("ready")
    async with _locked(everything.database, "sluice_core.messages"):
        await send(everything, 200)
        await until(everything.pool, BLOCKED, "%inbound%")
        worker.send(signal.SIGTERM)
        assert await worker.ended(STOP_S) == ExitCode.FAULT
    assert [line["service"] for line in worker.logged() if line["action"] == "stop_incomplete"] == ["inbound"]
    assert await _applied(everything) == {}

    await everything.start_ready()
    await everything.broker.caught_up(everything.pool, TOPIC)
    assert await everything.pool.fetchval("SELECT count(*) FROM sluice.conversation_messages") == 200


async def test_a_rule_that_computes_without_end_holds_up_no_stop(book: Stage) -> None:
    await book.broker.produce(TOPIC, [(b"k", b"1")], partition=0)
    worker = await book.start("deadly")
    await book.broker.caught_up(book.pool, TOPIC)
    await book.broker.produce(TOPIC, [(b"k", b"%d" % ENDLESS)], partition=0)
    await until(book.pool, STANDS_STILL)
    worker.send(signal.SIGTERM)
    assert await worker.ended(STOP_S) == ExitCode.FAULT
    [told] = [line for line in worker.logged() if line["action"] == "stop_forced"]
    assert any(place.endswith("_deadly") for place in told["where"])

    await book.start_ready("book")
    await book.broker.caught_up(book.pool, TOPIC)
    assert await rows(book.pool) == [1, ENDLESS]


async def test_a_database_that_does_not_answer_holds_up_no_stop(everything: Stage) -> None:
    """Of none of the services: workers, jobs, the outbox and what looks after compacted topics."""
    async with proxy(socket_of(everything.database)) as network:
        worker = await sluice(everything, "worker", "all", DATABASE_URL=through(network, everything.database))
        await worker.has_logged("ready")
        await send(everything, 2_000)
        await until(everything.pool, "SELECT count(*) > 0 FROM sluice.conversation_messages")
        network.down.swallow()
        await asyncio.sleep(2)
        worker.send(signal.SIGTERM)
        assert await worker.ended(STOP_S) == ExitCode.FAULT
    assert "Traceback" not in worker.tail()

    await everything.start_ready()
    await everything.broker.caught_up(everything.pool, TOPIC)
    assert await everything.pool.fetchval("SELECT count(*) FROM sluice.conversation_messages") == 2_000


@asynccontextmanager
async def _locked(database: str, table: str) -> AsyncIterator[None]:
    """Nobody else gets at the table. The connection does not give up on time, as those of a worker do."""
    connection = await asyncpg.connect(database)
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {table}")
            yield
    finally:
        await connection.close()


async def test_servers_that_come_late_are_waited_for_and_that_is_said(everything: Stage, cluster: KafkaServer) -> None:
    port = free_port()
    late = f"postgresql://postgres@127.0.0.1:{port}{urlsplit(everything.database).path}?sslmode=disable"
    cluster.kill()
    async with AsyncExitStack() as stack:
        try:
            worker = await sluice(everything, "worker", "all", DATABASE_URL=late)
            await _waits_for(worker, "PostgreSQL")
            await stack.enter_async_context(proxy(socket_of(everything.database), port))
            await _waits_for(worker, "PostgreSQL", "Kafka")
        finally:
            cluster.start()
        await worker.has_logged("ready")
        assert await worker.stop() == ExitCode.CLEAN


async def _waits_for(worker: WorkerProcess, *servers: str) -> None:
    async with asyncio.timeout(STOP_S):
        while [line["server"] for line in worker.logged() if line["action"] == "server_away"] != [*servers]:
            assert worker.code is None, worker.tail()
            await asyncio.sleep(0.02)


async def test_two_processes_share_every_topic_and_another_group_is_refused(everything: Stage) -> None:
    both = [await sluice(everything, "worker", "all") for _ in range(2)]
    for topic in INPUTS:
        await until(everything.pool, SHARED, topic, sorted(f"%/{one.pid}/%" for one in both))
    await send(everything, 2_000)
    await everything.broker.caught_up(everything.pool, TOPIC)
    assert await everything.pool.fetchval("SELECT count(*) FROM sluice.conversation_messages") == 2_000

    is_new_contact = await sluice(everything, "worker", "all", GROUP_PREFIX="stranger")
    assert await is_new_contact.ended() == ExitCode.SETUP
    [told] = [line for line in is_new_contact.logged() if line["level"] == "error"]
    assert "belongs to consumer group" in told["event"]
    assert "SLUICE_GROUP_PREFIX" in told["event"]
    assert await everything.stop(*both) == [ExitCode.CLEAN] * 2


async def test_more_workers_than_partitions_is_said_and_the_one_too_many_takes_over_later(
    database: str, pool: Pool, ours: Broker
) -> None:
    await book_table(pool)
    await ours.create(TOPIC, OUTPUT, partitions=1)
    with capture_logs() as logs:
        async with running(spec_of(), database, ours) as first, running(spec_of(), database, ours):
            told = await _logged(logs, "no_partitions")
            assert told["log_level"] == "warning"
            assert "more workers than partitions" in told["event"]
            await first.stop()
            await ours.produce(TOPIC, [(b"k", b"7")])
            await ours.caught_up(pool, TOPIC)
    assert await rows(pool) == [7]


async def _logged(logs: list[MutableMapping[str, Any]], action: str) -> MutableMapping[str, Any]:
    """Waits until somebody has said so."""
    async with asyncio.timeout(STOP_S):
        while not (told := [log for log in logs if log["action"] == action]):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return told[0]
