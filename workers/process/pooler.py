"""Finds out whether a pooler stands between a program and PostgreSQL, and which kind.

A pooler that gives a connection for each transaction cannot be used: leases, time limits and prepared statements belong
to a connection. One that gives each client a connection of its own can: what it leaves out when it connects is set
here.
"""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, Final

import asyncpg
from asyncpg import exceptions as pg

from workers.errors import SetupError

_PID: Final = "SELECT pg_backend_pid()"
_SET: Final = "SELECT set_config($1, $2, false)"
_POOLER_KNOWS: Final = {"application_name", "timezone"}
_ROUNDS: Final = 5
_FINDING_OUT_S: Final = 5.0
_BY_TRANSACTION: Final = (
    "a pooler stands between this program and PostgreSQL and gives out connections by transaction or statement "
    "(pgbouncer: pool_mode). Leases, time limits and prepared statements of Sluice belong to a connection: set "
    "pool_mode = session for this database, or connect to PostgreSQL directly"
)
_NOT_OURS: Final = (pg.DuplicatePreparedStatementError, pg.InvalidSQLStatementNameError)
"""Another client prepared a statement of this name on the connection, or ours is on another one."""


async def own_connection(url: str, **settings: Any) -> asyncpg.Connection:
    """Connects as `asyncpg.connect`, to a connection that belongs to this program alone and has its settings.

    Raises:
        SetupError: a pooler refuses the settings, or lets others use the connection between transactions.
        OSError, asyncpg.PostgresError: the server does not answer or refuses.
    """
    wanted: Mapping[str, str] = settings.get("server_settings") or {}
    try:
        connection: asyncpg.Connection = await asyncpg.connect(url, **settings)
    except pg.ProtocolViolationError as error:
        if (refusal := _refusal(error, wanted)) is not None:
            raise refusal from error
        raise
    try:
        again = {name: value for name, value in settings.items() if name != "server_settings"}
        await _make_own(connection, {**again, "dsn": url}, wanted)
    except BaseException:
        connection.terminate()
        raise
    return connection


def _refusal(error: pg.ProtocolViolationError, wanted: Mapping[str, str]) -> SetupError | None:
    """What an operator can do about the refusal of a start-up parameter; None: it is about something else."""
    if "startup parameter" not in str(error):
        return None
    names = ", ".join(sorted(wanted.keys() - _POOLER_KNOWS))
    return SetupError(
        f"a pooler stands between this program and PostgreSQL and refuses start-up parameters ({error}). Sluice sets "
        f"them again itself: set ignore_startup_parameters = {names} and pool_mode = session in pgbouncer.ini, or "
        "connect to PostgreSQL directly"
    )


async def _make_own(connection: asyncpg.Connection, again: Mapping[str, Any], wanted: Mapping[str, str]) -> None:
    try:
        if await connection.fetchval(_PID) == connection.get_server_pid():
            return
        if await _is_shared(connection, again):
            raise SetupError(_BY_TRANSACTION)
        for name, value in wanted.items():
            await connection.execute(_SET, name, value)
    except _NOT_OURS as error:
        raise SetupError(_BY_TRANSACTION) from error
    except pg.PostgresConnectionError as error:
        if "pooling mode" in str(error):
            raise SetupError(_BY_TRANSACTION) from error
        raise


async def _is_shared(connection: asyncpg.Connection, again: Mapping[str, Any]) -> bool:
    """Whether transactions of this connection are in several ones of the server, or in those of another client. If a
    second connection has to wait, each client has one of its own.
    """
    seen: tuple[set[int], set[int]] = set(), set()
    async with AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(_FINDING_OUT_S):
                other = await asyncpg.connect(**again, statement_cache_size=0)
                stack.callback(other.terminate)
                for _ in range(_ROUNDS):
                    for client, pids in zip((connection, other), seen, strict=True):
                        async with client.transaction():
                            pids.add(await client.fetchval(_PID))
        except TimeoutError:
            return False
    own, others = seen
    return len(own) > 1 or not own.isdisjoint(others)
