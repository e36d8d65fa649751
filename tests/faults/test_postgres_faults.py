"""PostgreSQL is killed, locked, full, slow, or replaced by a backup."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.faults.books import Book, Scene, Scenes
from tests.faults.oracle import first_occurrences
from tests.faults.postgres import OwnPostgres, own_postgres
from tests.runtime.ledgerbook import OUTPUT
from tests.support.databases import Databases, until
from tests.support.kafka import KafkaServer
from workers.errors import ExitCode
from workers.store.pool import open_pool

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]


@pytest.fixture
def own() -> Iterator[OwnPostgres]:
    with own_postgres() as server:
        yield server


async def test_a_restart_in_immediate_mode_loses_nothing_that_was_committed(
    own: OwnPostgres, cluster: KafkaServer, tmp_path: Path
) -> None:
    async def restarted(book: Book) -> None:
        for _ in range(2):
            await book.start()
        async with book.load():
            for away_s in (0.0, 3.0, 0.0, 1.0):
                await book.flows()
                await asyncio.to_thread(own.crash)
                await asyncio.sleep(away_s)
                await asyncio.to_thread(own.start)
            await book.flows()
        await book.finish(replaced=0)

    await Scenes(Databases(own.url, "sluice_own"), cluster, tmp_path).play({"restarted": restarted})


async def test_a_full_disk_and_a_commit_that_is_cut_off_lose_nothing_and_double_nothing(
    own: OwnPostgres, cluster: KafkaServer, tmp_path: Path
) -> None:
    scenes: dict[str, Scene] = {
        "full for a while": partial(full_for_a_while, own=own),
        "full for long": partial(full_for_long, own=own),
        "terminated": terminated,
    }
    databases = Databases(own.url, "sluice_own")
    await Scenes(databases, cluster, tmp_path).play(scenes)
    # Transactions that commit wait here: not next to other tests.
    await Scenes(databases, cluster, tmp_path).play({"committed unseen": committed_unseen})


async def full_for_a_while(book: Book, own: OwnPostgres) -> None:
    worker = await book.start()
    async with book.load():
        async with no_room(book, own):
            await book.told(worker, "database_exhausted", times=3)
        await book.flows()
    await book.finish(replaced=0)


async def full_for_long(book: Book, own: OwnPostgres) -> None:
    book.way["SLUICE_UNREACHABLE_AFTER_S"] = "5"
    worker = await book.start()
    async with book.load():
        async with no_room(book, own):
            assert await worker.ended() == ExitCode.FAULT
        said = [line["event"] for line in worker.logged() if line["action"] == "unreachable"]
        assert len(said) == 1, worker.tail()
        assert "No space left on device" in said[0]
    await book.finish(replaced=1)


@asynccontextmanager
async def no_room(book: Book, own: OwnPostgres) -> AsyncIterator[None]:
    """The disk is full for every writer of the book, in the middle of the load."""
    pool = book.stage.pool
    await pool.execute(
        """
        CREATE TABLE ballast (weight text);
        CREATE FUNCTION weigh() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO ballast VALUES ('heavy');
            RETURN NULL;
        END $$;
        """
    )
    await pool.execute("CHECKPOINT")
    with own.full(await pool.fetchval("SELECT pg_relation_filepath('ballast')")):
        await book.flows()
        await pool.execute(
            "CREATE TRIGGER weigh AFTER INSERT ON book FOR EACH STATEMENT EXECUTE FUNCTION weigh()", timeout=10
        )
        yield


async def terminated(book: Book) -> None:
    """The server ends the worker's connection again and again, wherever its transaction is."""
    await book.start()
    async with book.load():
        for _ in range(10):
            await book.flows(20)
            await book.stage.pool.execute(f"SELECT pg_terminate_backend(pid) {WORKERS}")
    await book.finish()


WORKERS = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'sluice/book'"


async def committed_unseen(book: Book) -> None:
    """The server ends the connection when the transaction is committed, and before it says so."""
    pool = book.stage.pool
    worker = await book.start()
    async with book.load():
        for times in range(1, 5):
            await book.flows()
            await standby(book, "nobody")
            await until(pool, f"SELECT count(*) > 0 {WORKERS} AND wait_event = 'SyncRep'")
            await pool.execute(f"SELECT pg_terminate_backend(pid, 5000) {WORKERS} AND wait_event = 'SyncRep'")
            await standby(book, "")
            await book.told(worker, "connection_lost", times)
    await book.finish(replaced=0)


async def standby(book: Book, name: str) -> None:
    """COMMIT is answered only when the standby of that name has it, too."""
    await book.stage.pool.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
    await book.stage.pool.execute("SELECT pg_reload_conf()")


async def test_locks_slow_answers_and_a_restored_backup_lose_nothing_and_double_nothing(
    databases: Databases, cluster: KafkaServer, tmp_path: Path
) -> None:
    scenes = {
        "table locked": table_locked,
        "rows locked": rows_locked,
        "slow": slow,
        "restored": restored,
    }
    await Scenes(databases, cluster, tmp_path).play(scenes)


async def table_locked(book: Book) -> None:
    """Somebody holds the table for longer than a transaction may last; then everybody waits behind him."""
    book.way["FAULT_PATIENCE"] = "2s"
    workers = [await book.start() for _ in range(2)]
    async with book.load():
        await book.flows()
        async with held(book, "LOCK TABLE book"):
            for worker in workers:
                await book.told(worker, "connection_lost", times=2)
        await book.flows()
    await book.finish(replaced=0)


async def rows_locked(book: Book) -> None:
    """Somebody who is no worker holds the rows that a new owner needs."""
    leaving = await book.start()
    await book.send(200)
    await book.caught_up()
    assert await leaving.stop() == ExitCode.CLEAN
    await book.send(200)
    async with held(book, "SELECT FROM sluice_core.progress FOR UPDATE"):
        worker = await book.stage.start("book", fault=None, **book.way)
        await book.told(worker, "zombie_ended", times=4)
    await book.finish(replaced=0)


@asynccontextmanager
async def held(book: Book, lock: str) -> AsyncIterator[None]:
    async with book.stage.pool.acquire() as is_new_contact, is_new_contact.transaction():
        await is_new_contact.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        await is_new_contact.execute("SET LOCAL transaction_timeout = 0")
        await is_new_contact.execute(lock)
        yield


async def slow(book: Book) -> None:
    """Neither many slow answers nor one that takes longer than a session cost a worker its partitions."""
    await book.stage.pool.execute(
        """
        CREATE TABLE slowness AS SELECT 0.5 AS seconds;
        CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            PERFORM pg_sleep(seconds) FROM slowness;
            RETURN NULL;
        END $$;
        CREATE TRIGGER slow BEFORE INSERT ON book FOR EACH STATEMENT EXECUTE FUNCTION slow();
        """
    )
    worker = await book.start()
    async with book.load():
        await book.flows(150)
        await book.stage.pool.execute("UPDATE slowness SET seconds = 9")
        slept = f"SELECT count(*) > 0 {WORKERS} AND wait_event = 'PgSleep' AND clock_timestamp() - query_start > '8 s'"
        await until(book.stage.pool, slept)
        await book.stage.pool.execute("UPDATE slowness SET seconds = 0")
    await book.finish(replaced=0)
    said = [line["action"] for line in worker.logged()]
    assert (said.count("taken_over"), said.count("connection_lost")) == (1, 0), worker.tail()


async def restored(book: Book) -> None:
    """The rows are behind Kafka: what came since is applied again in the restored state, and told with the same ids."""
    await at_work_for(book, 600)
    async with nobody_connected(book) as admin:
        await admin.execute(f"CREATE DATABASE {name(book)}_backup TEMPLATE {name(book)}")
    await at_work_for(book, 600)
    lost = await book.stage.broker.committed(f"{book.stage.broker.group_prefix}-book", "messages.inbound")
    async with nobody_connected(book) as admin:
        await admin.execute(f"DROP DATABASE {name(book)} WITH (FORCE)")
        await admin.execute(f"ALTER DATABASE {name(book)}_backup RENAME TO {name(book)}")
    progress = "SELECT partition, next_offset FROM sluice.partition_progress WHERE topic = 'messages.inbound'"
    assert all(row["next_offset"] < lost[row["partition"]] for row in await book.stage.pool.fetch(progress))
    await at_work_for(book, 100)
    await book.finish(replaced=0)
    told = await book.stage.broker.read_all(OUTPUT)
    assert len(told) == 600 + 2 * 600 + 100
    assert len(first_occurrences(told)) == 1_300
    await book.stage.pool.close()


async def at_work_for(book: Book, count: int) -> None:
    worker = await book.start()
    await book.send(count)
    await book.caught_up()
    assert await worker.stop() == ExitCode.CLEAN


@asynccontextmanager
async def nobody_connected(book: Book) -> AsyncIterator[asyncpg.Connection]:
    """A connection to another database of the server; ours has none meanwhile."""
    await book.stage.pool.close()
    admin = await asyncpg.connect(urlsplit(book.stage.database)._replace(path="/postgres").geturl())
    try:
        yield admin
    finally:
        await admin.close()
        book.stage.pool = await open_pool(book.stage.database, name="test")


def name(book: Book) -> str:
    return urlsplit(book.stage.database).path.removeprefix("/")
