"""Explains failures between a command and PostgreSQL in one sentence for the operator."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from asyncpg import exceptions as pg

from workers.app.settings import Settings
from workers.errors import SetupError, Unreachable
from workers.process.postgres import login_refusal
from workers.store import migrate
from workers.store.connection import Connection
from workers.store.pool import session

_REFUSED: Final = (pg.InvalidAuthorizationSpecificationError, pg.InvalidCatalogNameError, ValueError)
_OUT_OF_DATE: Final = (
    *(pg.UndefinedTableError, pg.UndefinedColumnError, pg.UndefinedFunctionError),
    *(pg.UndefinedObjectError, pg.InvalidSchemaNameError),
)
_AWAY: Final = (
    *(pg.PostgresConnectionError, pg.OperatorInterventionError, pg.InsufficientResourcesError),
    *(pg.InterfaceError, OSError),
)


@contextmanager
def explained() -> Iterator[None]:
    """Explains failures of the database inside the block.

    Raises:
        SetupError: the database refuses the login, lacks a right or a migration, or is too old.
        Unreachable: it does not answer, or stopped answering.
    """
    try:
        yield
    except pg.InsufficientPrivilegeError as error:
        raise SetupError(
            f"the database's user lacks a right: {error}. Commands that read need the role sluice_reader, `sluice mac` "
            "and what bills sluice_billing, commands that change something sluice_worker"
        ) from error
    except _OUT_OF_DATE as error:
        raise SetupError("the database's schema is not up to date: run `sluice migrate`") from error
    except _REFUSED as error:
        reason = login_refusal(error) or str(error)
        raise SetupError(f"PostgreSQL refuses the connection of SLUICE_DATABASE_URL: {reason}") from error
    except _AWAY as error:
        if (refused := login_refusal(error)) is not None:
            raise SetupError(f"PostgreSQL refuses the connection of SLUICE_DATABASE_URL: {refused}") from error
        reason = str(error) or type(error).__name__
        raise Unreachable(f"PostgreSQL does not answer at SLUICE_DATABASE_URL: {reason}") from error


@asynccontextmanager
async def connected(settings: Settings, name: str) -> AsyncIterator[Connection]:
    """One connection to a database that is up to date, for a command of that name that changes something.

    Raises:
        SetupError, Unreachable: see `explained`; also if the login may only read.
    """
    async with _session(settings, name) as connection:
        await migrate.check_worker(connection)
        yield connection


@asynccontextmanager
async def reading(settings: Settings) -> AsyncIterator[Connection]:
    """A connection in a read-only transaction with one snapshot. Query only what is public, in the schema `sluice`:
    logins that read see nothing else.

    Raises:
        SetupError, Unreachable: see `explained`.
    """
    async with _session(settings, "report") as connection:
        await migrate.check(connection)
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield connection


@asynccontextmanager
async def watching(settings: Settings) -> AsyncIterator[Connection]:
    """As `reading`, but each query sees what was committed before it: for a command that waits for something.

    Raises:
        SetupError, Unreachable: see `explained`.
    """
    async with _session(settings, "report") as connection:
        await migrate.check(connection)
        yield connection


@asynccontextmanager
async def reading_much(settings: Settings) -> AsyncIterator[Connection]:
    """As `watching`, but a query may take any time.

    Raises:
        SetupError, Unreachable: see `explained`.
    """
    async with _session(settings, "report", limited=False) as connection:
        await migrate.check(connection)
        yield connection


@asynccontextmanager
async def _session(settings: Settings, name: str, *, limited: bool = True) -> AsyncIterator[Connection]:
    with explained():
        async with session(settings.required_database_url(), name=name, limited=limited) as connection:
            yield connection
