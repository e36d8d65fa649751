"""PostgreSQL for programs beside the workers: a few connections, and errors in words."""

import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import asyncpg
import msgspec
from asyncpg import exceptions as pg

from workers.errors import SetupError
from workers.process.pooler import own_connection

_CANNOT_LOG_IN: Final = (pg.InvalidAuthorizationSpecificationError, pg.InvalidCatalogNameError)


def login_refusal(error: BaseException) -> str | None:
    """Why waiting would not help: the server refuses the login, its certificate is not valid, or it has no TLS."""
    if isinstance(error, _CANNOT_LOG_IN):
        return str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ConnectionError) and "rejected SSL upgrade" in str(error):
        return "it does not speak TLS, which `sslmode` asks for"
    return None


AWAY: Final = (
    pg.PostgresConnectionError,
    pg.OperatorInterventionError,
    pg.InsufficientResourcesError,
    pg.TransactionRollbackError,
    pg.InterfaceError,
    pg.InternalClientError,
    OSError,
    TimeoutError,
)
"""No answer now: ask again. What was asked may be committed without an answer."""
_NOT_THERE: Final = (
    pg.UndefinedFunctionError,
    pg.UndefinedTableError,
    pg.UndefinedColumnError,
    pg.InvalidSchemaNameError,
)
_STATEMENT_S: Final = 10.0
_CONNECTIONS: Final = 12


class Postgres:
    """The database, by a few connections that are made when they are needed. `role`: the one that its login must have.

    Every method raises an error of `AWAY` if the database does not answer, and SetupError if it refuses or lacks what
    the program needs. Values of json and jsonb are decoded.
    """

    def __init__(self, url: str, program: str, role: str, settings: Mapping[str, str] | None = None) -> None:
        self._url = url
        self._program = program
        self._role = role
        self._settings = {"application_name": f"sluice-{program}", "timezone": "UTC", "jit": "off", **(settings or {})}
        self._pool: Any = None

    async def ask(self) -> None:
        """Returns once the database has answered. Connects, if that was not possible before."""
        await self.fetch("SELECT 1")

    def close(self) -> None:
        """Does nothing: `stop` ends the connections."""

    async def stop(self) -> None:
        """Closes the connections at once."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.terminate()

    async def fetch(self, statement: str, *arguments: object) -> list[Any]:
        """The rows of a statement, which is a transaction of its own."""
        with self._explained():
            rows: list[Any] = await (await self._connected()).fetch(statement, *arguments)
            return rows

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Any]:
        """A connection whose statements see one state of the database, and change nothing."""
        with self._explained():
            pool = await self._connected()
            async with (
                pool.acquire() as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        """A connection in a transaction, which an exception takes back."""
        with self._explained():
            pool = await self._connected()
            async with pool.acquire() as connection, connection.transaction():
                yield connection

    async def _connected(self) -> Any:
        if self._pool is None:
            self._pool = await asyncpg.create_pool(
                self._url,
                min_size=0,
                max_size=_CONNECTIONS,
                command_timeout=_STATEMENT_S,
                reset=_nothing,
                connect=own_connection,
                init=_decoding,
                server_settings=self._settings,
            )
        return self._pool

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (*_CANNOT_LOG_IN, OSError) as error:
            if (reason := login_refusal(error)) is None:
                raise
            raise SetupError(f"PostgreSQL refuses the connection of SLUICE_DATABASE_URL: {reason}") from error
        except pg.InsufficientPrivilegeError as error:
            raise SetupError(
                f"the database's user lacks a right (the {self._program} needs the role {self._role}): {error}"
            ) from error
        except _NOT_THERE as error:
            raise SetupError(f"the database's schema is not up to date: run `sluice migrate` ({error})") from error


async def _nothing(_connection: object) -> None:
    """No statement leaves a state behind; asyncpg would ask the server to clear it, once for each statement."""


async def _decoding(connection: Any) -> None:
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(
            kind, schema="pg_catalog", encoder=_text, decoder=msgspec.json.decode, format="text"
        )


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()
