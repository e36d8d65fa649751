"""A database per test: cloned from a template that is migrated once per run."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from asyncpg import Pool

from workers.store.migrate import migrate

HASH_KEY: Final = "00112233445566778899aabbccddeeff" * 2
"""The `SLUICE_HASH_KEY` of tests."""


class Databases:
    """Makes databases on the server at `server_url`; each is dropped when its context ends."""

    def __init__(self, server_url: str, template: str) -> None:
        self._server_url = server_url
        self._template = template
        self._template_ready = False
        self._numbers = count(1)

    @asynccontextmanager
    async def migrated(self) -> AsyncIterator[str]:
        """A database with every migration applied; yields its libpq URL."""
        if not self._template_ready:
            await self._run(f"CREATE DATABASE {self._template}")
            await migrate(self._url(self._template))
            self._template_ready = True
        # Half of the time of the usual strategy, which writes the whole database to the WAL.
        async with self._database(f"TEMPLATE {self._template} STRATEGY FILE_COPY") as url:
            yield url

    @asynccontextmanager
    async def empty(self) -> AsyncIterator[str]:
        """A database without any migration; yields its libpq URL."""
        async with self._database("") as url:
            yield url

    @asynccontextmanager
    async def _database(self, options: str) -> AsyncIterator[str]:
        name = f"{self._template}_{next(self._numbers)}"
        await self._run(f"CREATE DATABASE {name} {options}")
        try:
            yield self._url(name)
        finally:
            await self._run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _url(self, name: str) -> str:
        return urlunsplit(urlsplit(self._server_url)._replace(path=f"/{name}"))

    async def _run(self, statement: str) -> None:
        connection = await asyncpg.connect(self._server_url)
        try:
            await connection.execute(statement)
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


async def _login_of(database: str, role: str) -> str:
    name = f"test_only_{role}_{os.getpid()}"
    connection = await asyncpg.connect(database)
    try:
        with suppress(asyncpg.DuplicateObjectError):
            await connection.execute(f"CREATE ROLE {name} LOGIN IN ROLE sluice_{role}")
    finally:
        await connection.close()
    return urlunsplit(urlsplit(database)._replace(netloc=f"{name}:@"))


async def until(pool: Pool, question: str, *arguments: object, timeout_s: float = 30.0) -> None:
    """Asks the database again and again until the answer is true.

    Raises:
        TimeoutError: it never was.
    """
    async with asyncio.timeout(timeout_s):
        while not await pool.fetchval(question, *arguments):  # noqa: ASYNC110 - a database has no event to wait for
            await asyncio.sleep(0.02)
