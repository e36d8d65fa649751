"""What can go wrong between a command and PostgreSQL, as the one sentence an operator needs."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from asyncpg import exceptions as pg

from workers.errors import SetupError, Unreachable
from workers.runtime.batch import Connection
from workers.settings import Settings
from workers.store import migrate
from workers.store.pool import pool_of

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
    """Around one command's work on the database.

    Raises:
        SetupError: the database refuses the login, lacks a right or a migration, or is too old.
        Unreachable: it does not answer, or stopped answering.
    """
    try:
        yield
    except pg.InsufficientPrivilegeError as error:
        raise SetupError(f"the database's user lacks a right: {error}") from error
    except _OUT_OF_DATE as error:
        raise SetupError("the database's schema is not up to date: run `sluice migrate`") from error
    except _REFUSED as error:
        raise SetupError(f"PostgreSQL refuses the connection of SLUICE_DATABASE_URL: {error}") from error
    except _AWAY as error:
        reason = str(error) or type(error).__name__
        raise Unreachable(f"PostgreSQL does not answer at SLUICE_DATABASE_URL: {reason}") from error


@asynccontextmanager
async def connected(settings: Settings, name: str) -> AsyncIterator[Connection]:
    """One connection to a database that is up to date, for a command of that name.

    Raises:
        SetupError, Unreachable: see `explained`.
    """
    with explained():
        async with (
            pool_of(settings.required_database_url(), name=name, max_size=1) as pool,
            pool.acquire() as connection,
        ):
            await migrate.check(connection)
            yield connection
