"""Connections to PostgreSQL. All settings for connections of a worker are made here."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
from asyncpg import Pool
from asyncpg import exceptions as pg

from workers.errors import SetupError
from workers.process.pooler import own_connection
from workers.store.connection import Connection
from workers.store.failures import ConnectionLost, Exhausted, translated

APPLICATION_NAME: Final = "sluice"
MINIMUM_VERSION: Final = 15

# A paused worker must not hold rows for longer than the next owner waits: the server ends idle transactions.
_SERVER_SETTINGS: Final = {
    "search_path": "sluice_core, sluice",
    "timezone": "UTC",
    # Statements take milliseconds; JIT compilation, which a high cost estimate triggers, takes longer than that.
    "jit": "off",
    # The database is set for readers, who plan each call. The plans of workers fit any workspace.
    "plan_cache_mode": "auto",
    "idle_in_transaction_session_timeout": "10s",
    # A long wait for a lock says nothing about the cost of the waiting transaction.
    "lock_timeout": "15s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
# The same on our side, if the operating system supports it: a firewall drops idle connections silently.
_KEEP_ALIVE: Final = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 25_000}
_SINCE_17: Final = {"transaction_timeout": "30s"}

# The time-out of a statement without an answer: later than the server's limits for a transaction, but early enough for
# `SLUICE_UNREACHABLE_AFTER_S`.
_ANSWER_S: Final = 40.0
_CONNECT_S: Final = 10.0

# Other URL parameters are server settings: the server may not know the name or the value, or may not allow to set it.
_OF_THE_URL: Final = (pg.UndefinedObjectError, pg.InvalidParameterValueError, pg.CantChangeRuntimeParamError)


async def open_pool(url: str, *, name: str = "worker", max_size: int = 10) -> Pool:
    """A pool for `url` (libpq URL) whose connections see `sluice_core` and `sluice` and have time limits.

    `name` becomes part of `application_name`. json and jsonb stay text in both directions.

    Raises:
        OSError, asyncpg.PostgresError: the server does not answer or refuses.
        SetupError: it refuses a parameter of the URL.
        ValueError: the server is older than PostgreSQL 15.
    """
    settings = _server_settings(name, await server_version(url))
    pool: Pool = await asyncpg.create_pool(
        url,
        min_size=1,
        max_size=max_size,
        server_settings=settings,
        command_timeout=_ANSWER_S,
        timeout=_CONNECT_S,
        reset=_nothing_to_reset,
        connect=_connect,
    )
    return pool


def _server_settings(name: str, version: int) -> dict[str, str]:
    newer = _SINCE_17 if version >= 17 else {}
    return {**_SERVER_SETTINGS, **newer, "application_name": f"{APPLICATION_NAME}/{name}"}


@asynccontextmanager
async def session(url: str, *, name: str, limited: bool = True) -> AsyncIterator[Connection]:
    """One connection as those of a pool, for a command that asks once and ends. Raises as `open_pool`.

    Without `limited` a statement or transaction may take any time.
    """
    settings = _server_settings(name, 0)
    answer_s = _ANSWER_S if limited else None
    connection = await _connect(url, timeout=_CONNECT_S, command_timeout=answer_s, server_settings=settings)
    try:
        if _supported(connection) >= 17 and limited:
            for setting, value in _SINCE_17.items():
                await connection.execute("SELECT set_config($1, $2, false)", setting, value)
        yield connection  # type: ignore[misc]
    finally:
        await connection.close()


async def _nothing_to_reset(_connection: Connection) -> None:
    """Sluice sets values for one transaction only, so a reset by the server would be a needless round trip."""


class Server:
    """A separate connection beside the pool: finds out whether the server answers."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: asyncpg.Connection | None = None

    async def ask(self) -> None:
        """Returns once the server has answered, even if it accepts no more connections or not this login.

        Raises:
            ConnectionLost: it does not answer, or is starting or stopping.
        """
        kept = self._connection is not None
        try:
            await self._ask()
        except ConnectionLost:
            if not kept:
                raise
            # A connection that ended while it was idle does not mean that the server is away.
            await self._ask()

    async def _ask(self) -> None:
        try:
            async with translated():
                if self._connection is None or self._connection.is_closed():
                    self._connection = await connected(self._url, f"{APPLICATION_NAME}/liveness")
                await self._connection.execute("SELECT 1")
        except (Exhausted, SetupError):
            self.close()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


async def connected(url: str, application_name: str) -> asyncpg.Connection:
    """A single connection. Raises as `open_pool`, but for the version."""
    return await _connect(url, timeout=_CONNECT_S, server_settings={"application_name": application_name})


async def _connect(url: str, **settings: Any) -> asyncpg.Connection:
    """A connection that detects a dead peer, also while it is idle, and that nobody else uses."""
    try:
        connection = await own_connection(url, **settings)
    except _OF_THE_URL as error:
        raise SetupError(f"PostgreSQL refuses a parameter of SLUICE_DATABASE_URL: {error}") from error
    peer = connection._transport.get_extra_info("socket")  # noqa: SLF001 - asyncpg has no option for it
    if peer.family in (socket.AF_INET, socket.AF_INET6):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEP_ALIVE.items():
            if hasattr(socket, option):
                peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return connection


async def server_version(url: str) -> int:
    """Major version of the server at `url`.

    Raises:
        ValueError: it is older than Sluice needs.
    """
    connection = await connected(url, APPLICATION_NAME)
    try:
        return _supported(connection)
    finally:
        await connection.close()


def _supported(connection: asyncpg.Connection) -> int:
    major = int(connection.get_server_version().major)
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
