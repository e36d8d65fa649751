"""What can go wrong between a command and PostgreSQL, as the one sentence an operator needs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from asyncpg import exceptions as pg

from workers.errors import SetupError, Unreachable

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
