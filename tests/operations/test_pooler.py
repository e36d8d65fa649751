"""pgbouncer in between: by session it works, by transaction each program says at its start why not."""

import asyncio
import os
import pwd
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import asyncpg
import pytest
from asyncpg import Pool

from tests.cli.commands import Ended, Sluice
from tests.faults.proxy import proxy, socket_of
from tests.support.brokers import Broker
from tests.support.databases import until
from tests.support.ports import free_port
from tests.support.postgres import owner
from tests.support.processes import at_work
from tests.workers.records import message
from workers.app.composition import plan_of
from workers.errors import ExitCode, SetupError
from workers.process.pooler import own_connection
from workers.process.postgres import Postgres
from workers.store.pool import pool_of

NOBODY: Final = "127.0.0.1:9"
LEFT_OUT: Final = (
    "idle_in_transaction_session_timeout, jit, lock_timeout, plan_cache_mode, search_path, tcp_keepalives_count, "
    "tcp_keepalives_idle, tcp_keepalives_interval, transaction_timeout"
)
INI: Final = """
[databases]
* = host=127.0.0.1 port={server} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = 30
ignore_startup_parameters = {ignored}
"""


@asynccontextmanager
async def pgbouncer(database: str, folder: Path, mode: str, ignored: str = LEFT_OUT) -> AsyncIterator[str]:
    """The URL of the database by way of pgbouncer."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program is not None, "pgbouncer is not installed: apt-get install pgbouncer"
    server, port = free_port(), free_port()
    place = folder / "pgbouncer.ini"
    place.write_text(INI.format(server=server, port=port, mode=mode, ignored=ignored))
    log = folder / "pgbouncer.log"
    if "user" in owner():
        os.chown(place, pwd.getpwnam(owner()["user"]).pw_uid, -1)
        for above in (folder, *folder.parents):
            above.chmod(above.stat().st_mode | 0o011)
    async with proxy(socket_of(database), server):
        with log.open("wb") as written, place.open("rb") as said:
            # It reads its configuration by a file descriptor: the folder may be one that its owner cannot enter.
            running = subprocess.Popen(  # noqa: ASYNC220, S603 - our own words
                [program, "/dev/fd/0"], stdin=said, stdout=written, stderr=written, cwd="/", **owner()
            )
        try:
            async with asyncio.timeout(10):
                while True:
                    try:
                        _, writer = await asyncio.open_connection("127.0.0.1", port)
                    except OSError:
                        assert running.poll() is None, log.read_text()
                        await asyncio.sleep(0.05)
                    else:
                        writer.close()
                        break
            yield f"postgresql://postgres@127.0.0.1:{port}{urlsplit(database).path}?sslmode=disable"
        finally:
            running.kill()
            running.wait()


async def ran(folder: Path, url: str, *arguments: str) -> Ended:
    return await asyncio.to_thread(Sluice(folder, DATABASE_URL=url, KAFKA_BOOTSTRAP=NOBODY).run, *arguments)


@pytest.mark.parametrize("mode", ["transaction", "statement"])
async def test_by_transaction_every_program_says_why_not_and_ends(database: str, tmp_path: Path, mode: str) -> None:
    async with pgbouncer(database, tmp_path, mode) as url:
        for command in (["worker", "inbound"], ["migrate"], ["migrate", "--dry-run"], ["status"]):
            ended = await ran(tmp_path, url, *command)
            assert ended.code == ExitCode.SETUP, (command, ended.err)
            assert "set pool_mode = session for this database" in ended.err
            assert "Traceback" not in ended.err
        for program in (Postgres(url, "sender", "sluice_sender"), Postgres(url, "console", "sluice_console")):
            with pytest.raises(SetupError, match="pool_mode = session"):
                await program.ask()
            await program.stop()


async def test_by_transaction_it_is_found_beside_others_who_are_busy(database: str, tmp_path: Path) -> None:
    async with pgbouncer(database, tmp_path, "transaction") as url:
        others = [await asyncpg.connect(url, statement_cache_size=0) for _ in range(4)]

        async def be_busy(connection: asyncpg.Connection) -> None:
            while True:
                await connection.execute("SELECT pg_sleep(0.001)")

        busy = [asyncio.create_task(be_busy(connection)) for connection in others]
        try:
            for _ in range(5):
                with pytest.raises(SetupError, match="pool_mode = session"):
                    await own_connection(url)
        finally:
            for task in busy:
                task.cancel()
            await asyncio.gather(*busy, return_exceptions=True)
            for connection in others:
                connection.terminate()


async def test_start_up_parameters_that_it_refuses_are_named(database: str, tmp_path: Path) -> None:
    async with pgbouncer(database, tmp_path, "session", ignored="extra_float_digits") as url:
        ended = await ran(tmp_path, url, "worker", "inbound")
        assert ended.code == ExitCode.SETUP, ended.err
        assert f"set ignore_startup_parameters = {LEFT_OUT}" in ended.err
        with pytest.raises(SetupError, match="set ignore_startup_parameters = jit and"):
            await Postgres(url, "sender", "sluice_sender").ask()


async def test_by_session_workers_work_and_have_their_settings(
    database: str, pool: Pool, broker: Broker, tmp_path: Path
) -> None:
    async with pgbouncer(database, tmp_path, "session") as url:
        async with pool_of(url, name="test", max_size=2) as pooled:
            for name, value in (("lock_timeout", "15s"), ("jit", "off"), ("plan_cache_mode", "auto")):
                assert await pooled.fetchval("SELECT current_setting($1)", name) == value
        async with at_work(url, broker, plan_of(["inbound", "upkeep"])):
            raw = message().raw
            assert raw is not None
            await broker.produce("messages.inbound", [(raw.key, raw.value)])
            await until(pool, "SELECT count(*) = 1 FROM sluice.conversation_messages")
            await until(pool, "SELECT NOT EXISTS (SELECT FROM sluice_core.batch_outbox)")
        assert len(await broker.read_all("messages.accepted")) == 1
