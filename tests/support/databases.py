"""A database per test: a clone of a template that is migrated once per run, or the clone of an earlier test, emptied.

To empty one takes a tenth of the time of a clone.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from asyncpg import Pool
from asyncpg.exceptions import PostgresError

from workers.store.connection import Connection
from workers.store.migrate import migrate
from workers.store.pool import open_pool

HASH_KEY: Final = "00112233445566778899aabbccddeeff" * 2
"""The `SLUICE_HASH_KEY` of tests."""

_EMPTIED: Final = Path(__file__).with_name("emptied.sql").read_text(encoding="utf-8")
_MADE_OF: Final = Path(__file__).with_name("made_of.sql").read_text(encoding="utf-8")


class Databases:
    """Makes databases on the server at `server_url`; each is dropped, or emptied for the next test, when its context
    ends.
    """

    def __init__(self, server_url: str, template: str) -> None:
        self._server_url = server_url
        self._template = template
        self._is_migrated = False
        self._made_of: object = None
        self._numbers = count(1)
        self._emptied: list[str] = []

    @asynccontextmanager
    async def migrated(self) -> AsyncIterator[str]:
        """A database with every migration applied; yields its libpq URL."""
        if not self._is_migrated:
            await self._run(f"CREATE DATABASE {self._template}")
            await migrate(self._url(self._template))
            self._is_migrated = True
        name = self._emptied.pop() if self._emptied else await self._clone()
        try:
            yield self._url(name)
        finally:
            if await self._empty(name):
                self._emptied.append(name)
            else:
                await self._drop(name)

    @asynccontextmanager
    async def empty(self) -> AsyncIterator[str]:
        """A database without any migration; yields its libpq URL."""
        name = await self._create("")
        try:
            yield self._url(name)
        finally:
            await self._drop(name)

    async def _empty(self, name: str) -> bool:
        """Whether it is as new now: False if a test changed more than rows."""
        with suppress(PostgresError, OSError):
            connection = await asyncpg.connect(self._url(name))
            try:
                await connection.execute(_EMPTIED)
                return bool(await connection.fetchval(_MADE_OF) == self._made_of)
            finally:
                await connection.close()
        return False

    async def _clone(self) -> str:
        # Half of the time of the usual strategy, which writes the whole database to the WAL.
        name = await self._create(f"TEMPLATE {self._template} STRATEGY FILE_COPY")
        if self._made_of is None:  # not of the template: a clone has none of the settings of its database
            self._made_of = await self._run(_MADE_OF, self._url(name))
        return name

    async def _create(self, options: str) -> str:
        name = f"{self._template}_{next(self._numbers)}"
        await self._run(f"CREATE DATABASE {name} {options}")
        return name

    async def _drop(self, name: str) -> None:
        await self._run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _url(self, name: str) -> str:
        return urlunsplit(urlsplit(self._server_url)._replace(path=f"/{name}"))

    async def _run(self, statement: str, url: str = "") -> object:
        connection = await asyncpg.connect(url or self._server_url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()


async def worker_of(database: str) -> str:
    """The database's libpq URL for a login that may do what workers may, and nothing more."""
    return await _login_of(database, "worker")


async def reader_of(database: str) -> str:
    """The same for a login that may do what readers may."""
    return await _login_of(database, "reader")


async def sender_of(database: str) -> str:
    """The same for a login that may do what senders may."""
    return await _login_of(database, "sender")


async def console_of(database: str) -> str:
    """The same for a login that may do what the console may."""
    return await _login_of(database, "console")


async def _login_of(database: str, role: str) -> str:
    name = f"test_only_{role}_{os.getpid()}"
    connection = await asyncpg.connect(database)
    try:
        with suppress(asyncpg.DuplicateObjectError):
            await connection.execute(f"CREATE ROLE {name} LOGIN IN ROLE sluice_{role}")
    finally:
        await connection.close()
    return urlunsplit(urlsplit(database)._replace(netloc=f"{name}:@"))


Work = Callable[[Connection], Awaitable[None]]
InATransaction = Callable[[Work], None]
"""Does the work in a transaction of its own and rolls it back."""


@contextmanager
def rolling_back(url: str) -> Iterator[InATransaction]:
    """Transactions of one connection, one after the other, for a test that is no coroutine."""

    async def run(work: Work) -> None:
        async with pool.acquire() as tx:
            transaction = tx.transaction()
            await transaction.start()
            try:
                await work(tx)
            finally:
                await transaction.rollback()

    with asyncio.Runner() as runner:
        pool = runner.run(open_pool(url, name="test", max_size=1))
        try:
            yield lambda work: runner.run(run(work))
        finally:
            runner.run(pool.close())


async def until(pool: Pool, question: str, *arguments: object, timeout_s: float = 30.0) -> None:
    """Asks the database again and again until the answer is true.

    Raises:
        TimeoutError: it never was.
    """
    async with asyncio.timeout(timeout_s):
        while not await pool.fetchval(question, *arguments):  # noqa: ASYNC110 - a database has no event to wait for
            await asyncio.sleep(0.02)
