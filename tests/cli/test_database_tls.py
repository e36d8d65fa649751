"""SLUICE_DATABASE_URL with sslmode=verify-full: only a certificate of the named authority for that host will do."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.cli.commands import Ended, Sluice
from tests.faults.proxy import socket_of
from tests.support.tls_postgres import Authority, authority, behind_tls
from workers.errors import ExitCode, SetupError
from workers.process.postgres import Postgres
from workers.store.pool import pool_of

NOBODY = "127.0.0.1:9"


class Guarded(NamedTuple):
    """A database behind TLS, with a certificate for `localhost` of its own authority, and another authority."""

    port: int
    name: str
    own: Authority
    other: Authority

    def url(self, authority: Authority, host: str = "localhost", mode: str = "verify-full") -> str:
        return f"postgresql://postgres@{host}:{self.port}{self.name}?sslmode={mode}&sslrootcert={authority.file}"


@pytest.fixture
async def guarded(database: str, tmp_path: Path) -> AsyncIterator[Guarded]:
    own, other = authority(tmp_path, "own"), authority(tmp_path, "other")
    async with behind_tls(socket_of(database), own.serving("localhost")) as port:
        yield Guarded(port, urlsplit(database).path, own, other)


async def test_with_the_right_authority_everybody_connects_by_tls(guarded: Guarded) -> None:
    async with pool_of(guarded.url(guarded.own), name="test", max_size=1) as pool, pool.acquire() as connection:
        assert await connection.fetchval("SELECT 1") == 1
        assert connection._con._transport.get_extra_info("ssl_object").version() == "TLSv1.3"  # noqa: SLF001
    program = Postgres(guarded.url(guarded.own), "sender", "sluice_sender")
    assert [tuple(row) for row in await program.fetch("SELECT 1")] == [(1,)]
    await program.stop()


@pytest.mark.parametrize("wrong", ["authority", "host"])
async def test_a_wrong_certificate_is_refused_at_once(guarded: Guarded, wrong: str) -> None:
    url = guarded.url(guarded.other) if wrong == "authority" else guarded.url(guarded.own, "127.0.0.1")
    program = Postgres(url, "sender", "sluice_sender")
    with pytest.raises(SetupError, match="its certificate is not trusted: "):
        await program.ask()


async def test_commands_and_workers_end_with_one_line(guarded: Guarded, tmp_path: Path) -> None:
    def ran(*arguments: str) -> Ended:
        url = guarded.url(guarded.other)
        return Sluice(tmp_path, DATABASE_URL=url, KAFKA_BOOTSTRAP=NOBODY).run(*arguments)

    for command in (["status"], ["worker", "inbound"], ["migrate", "--dry-run"]):
        ended = await asyncio.to_thread(ran, *command)
        assert ended.code == ExitCode.SETUP, ended.err
        assert "its certificate is not trusted" in ended.err
        assert "Traceback" not in ended.err
        assert ended.seconds < 20
