"""What went wrong in PostgreSQL, named by what the engine does about it. Driver errors are wrapped here, once."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from asyncpg import exceptions as pg

from workers.errors import SetupError
from workers.runtime.batch import Connection, Source


class StoreFailure(Exception):  # noqa: N818 - each subclass says what to do
    """Nothing was committed."""


class BadData(StoreFailure):
    """The database refuses a value (SQLSTATE 22 or 23): find the record."""


class Conflict(StoreFailure):
    """Another transaction was in the way (40P01, 40001, 55P03): run the batch again."""


class ConnectionLost(StoreFailure):
    """The connection is gone, perhaps during COMMIT: connect again and ask what holds."""


class Exhausted(ConnectionLost):
    """The server lacks space, memory or connections (class 53): somebody must make room; until then, try again."""


class Fenced(StoreFailure):
    """Some partitions are not ours any more, or had already been committed by an attempt whose end was not seen."""

    def __init__(self, lost: Sequence[Source], committed: Sequence[Source]) -> None:
        super().__init__(f"lost {lost}, committed {committed}")
        self.lost = frozenset(lost)
        self.committed = frozenset(committed)


_BAD_DATA: Final = (pg.DataError, pg.IntegrityConstraintViolationError)
_CONFLICT: Final = (pg.DeadlockDetectedError, pg.SerializationError, pg.LockNotAvailableError)
_GONE: Final = (
    pg.PostgresConnectionError,
    pg.OperatorInterventionError,
    pg.IdleInTransactionSessionTimeoutError,
    pg.TransactionTimeoutError,
    pg.ReadOnlySQLTransactionError,
    pg.InternalClientError,
    OSError,
    TimeoutError,
)


@asynccontextmanager
async def translated(connection: Connection | None = None) -> AsyncIterator[None]:
    """Wraps what the driver raises. Errors with no known remedy pass unchanged: they are bugs.

    Raises:
        BadData, Conflict, ConnectionLost, Exhausted: as above.
        SetupError: the database's user lacks a right.
    """
    try:
        yield
    except _BAD_DATA as error:
        raise BadData(_without_content(error)) from error
    except _CONFLICT as error:
        raise Conflict(str(error)) from error
    except pg.InsufficientResourcesError as error:
        raise Exhausted(str(error)) from error
    except _GONE as error:
        raise ConnectionLost(str(error) or type(error).__name__) from error
    except pg.InsufficientPrivilegeError as error:
        raise SetupError(f"the database's user lacks a right: {error}") from error
    except pg.InterfaceError as error:
        if connection is None or _is_gone(connection):
            raise ConnectionLost(str(error)) from error
        raise


def _is_gone(connection: Connection) -> bool:
    try:
        return bool(connection.is_closed())
    except pg.InterfaceError:
        # A pooled connection that ended under us has gone back to the pool, and does not answer at all.
        return True


@asynccontextmanager
async def savepoint(connection: Connection) -> AsyncIterator[None]:
    """A part of a transaction that can fail alone. Raises as `translated`."""
    async with translated(connection), connection.transaction():
        yield


def _without_content(error: Exception) -> str:
    # The server's own message quotes the value it refuses; this text travels in headers and logs.
    where = getattr(error, "constraint_name", None) or getattr(error, "column_name", None)
    reason = f"the database refuses it: {type(error).__name__} (SQLSTATE {getattr(error, 'sqlstate', None)})"
    return f"{reason}, {where}" if where else reason
