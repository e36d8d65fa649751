"""Connections to PostgreSQL. Everything that must hold for every connection of a worker is set here, once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg
from asyncpg import Pool
from asyncpg.pool import PoolConnectionProxy

Connection = PoolConnectionProxy

APPLICATION_NAME: Final = "sluice"
MINIMUM_VERSION: Final = 15

# A zombie must not hold rows for longer than its heir waits: the server ends what stands still.
_SERVER_SETTINGS: Final = {
    "search_path": "sluice_core, sluice",
    "timezone": "UTC",
    # Statements take milliseconds; to compile one, as its estimated cost may suggest, takes longer than to run it.
    "jit": "off",
    "idle_in_transaction_session_timeout": "10s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
_SINCE_17: Final = {"transaction_timeout": "30s"}

# Whoever is not answered at all must learn of it: later than the server would have ended a transaction, but in time to
# tell within `SLUICE_UNREACHABLE_AFTER_S` of that.
_ANSWER_S: Final = 40.0
_CONNECT_S: Final = 10.0


async def open_pool(url: str, *, name: str = "worker", min_size: int = 1, max_size: int = 10) -> Pool:
    """A pool for `url` (libpq URL) whose connections see `sluice_core` and `sluice` and give up on time.

    `name` becomes part of `application_name`. json and jsonb stay text in both directions.

    Raises:
        OSError, asyncpg.PostgresError: the server cannot be reached or refuses.
        ValueError: the server is older than PostgreSQL 15.
    """
    settings = {**_SERVER_SETTINGS, "application_name": f"{APPLICATION_NAME}/{name}"}
    if await server_version(url) >= 17:
        settings |= _SINCE_17
    pool: Pool = await asyncpg.create_pool(
        url,
        min_size=min_size,
        max_size=max_size,
        server_settings=settings,
        command_timeout=_ANSWER_S,
        timeout=_CONNECT_S,
        reset=_nothing_to_reset,
    )
    return pool


async def _nothing_to_reset(_connection: Connection) -> None:
    """What is set here is set for one transaction: asking the server to reset it would be a round trip for nothing."""


async def server_version(url: str) -> int:
    """Major version of the server at `url`.

    Raises:
        ValueError: it is older than Sluice needs.
    """
    connection = await asyncpg.connect(url, server_settings={"application_name": APPLICATION_NAME})
    try:
        major = int(connection.get_server_version().major)
    finally:
        await connection.close()
    if major < MINIMUM_VERSION:
        raise ValueError(f"PostgreSQL {major} is too old: Sluice needs {MINIMUM_VERSION} or newer")
    return major


@asynccontextmanager
async def pool_of(url: str, *, name: str = "worker", max_size: int = 10) -> AsyncIterator[Pool]:
    """`open_pool`, closed at the end."""
    pool = await open_pool(url, name=name, max_size=max_size)
    try:
        yield pool
    finally:
        await pool.close()
