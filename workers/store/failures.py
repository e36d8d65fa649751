"""Failures of PostgreSQL, named by what the engine does about them. Wraps all errors of the driver."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from asyncpg import exceptions as pg

from workers.errors import ApplyFailed, SetupError
from workers.process.postgres import login_refusal
from workers.records import Partition
from workers.store.connection import Connection, is_gone


class StoreFailure(Exception):  # noqa: N818 - each subclass says what to do
    """A failure of PostgreSQL. Nothing was committed."""


class BadData(StoreFailure):
    """The database refuses a value (SQLSTATE 22 or 23): find the record."""


class Conflict(StoreFailure):
    """Another transaction is in conflict (40P01, 40001, 55P03): run the batch again."""


class ConnectionLost(StoreFailure):
    """The connection is lost, perhaps during COMMIT: connect again and read what was committed."""


class Interrupted(ConnectionLost):
    """The connection was lost before COMMIT was sent: connect again. Nothing was committed."""


class Exhausted(ConnectionLost):
    """The server lacks space, memory or connections (class 53): retry until an operator has added some."""


class TooMuch(StoreFailure):
    """The transaction exceeded its time or a limit of the server: apply fewer records."""


class Fenced(StoreFailure):
    """Some partitions are no longer ours, or an earlier attempt without an answer has committed them already."""

    def __init__(self, lost: Sequence[Partition], committed: Sequence[Partition]) -> None:
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
_TOO_MUCH: Final = (
    pg.QueryCanceledError,
    pg.TransactionTimeoutError,
    pg.OutOfMemoryError,
    pg.ConfigurationLimitExceededError,
    pg.ProgramLimitExceededError,
)
_REFUSED: Final = (pg.InvalidAuthorizationSpecificationError, pg.InvalidCatalogNameError)


@asynccontextmanager
async def translated(connection: Connection | None = None) -> AsyncIterator[None]:
    """Wraps what the driver raises. Errors without a known remedy pass unchanged: they are bugs.

    Raises:
        BadData, Conflict, ConnectionLost, Exhausted: as above.
        SetupError: the database's user lacks a right or cannot log in.
    """
    try:
        yield
    except _BAD_DATA as error:
        raise BadData(_without_content(error)) from error
    except _CONFLICT as error:
        raise Conflict(str(error)) from error
    except pg.InsufficientResourcesError as error:
        raise Exhausted(str(error)) from error
    except (*_REFUSED, *_GONE) as error:
        if (reason := login_refusal(error)) is not None:
            raise SetupError(f"PostgreSQL refuses the connection of SLUICE_DATABASE_URL: {reason}") from error
        raise ConnectionLost(str(error) or type(error).__name__) from error
    except pg.InsufficientPrivilegeError as error:
        raise SetupError(f"the database's user lacks a right: {error}") from error
    except pg.InterfaceError as error:
        if connection is None or is_gone(connection):
            raise ConnectionLost(str(error)) from error
        raise


def sqlstate_class(error: BaseException | None) -> str:
    """The first two characters of the SQLSTATE that caused an error; `none` if PostgreSQL reported none."""
    while error is not None:
        # Each class of the driver's errors has its code; those that PostgreSQL did not report have none.
        if code := getattr(error, "sqlstate", None):
            return str(code)[:2]
        error = error.__cause__
    return "none"


class TransactionWork:
    """The work of a transaction between the fence and COMMIT. If it fails, nothing was committed. `gone` tells whether
    the connection has ended.
    """

    def __init__(self, gone: Callable[[], bool]) -> None:
        self._gone = gone
        self._under_way = False

    @asynccontextmanager
    async def interruptible(self) -> AsyncIterator[None]:
        """Wraps the whole transaction.

        Raises:
            Interrupted: in place of ConnectionLost, if the connection was lost during the work.
        """
        try:
            yield
        except Exhausted:
            raise
        except ConnectionLost as lost:
            if self._under_way:
                raise Interrupted(str(lost)) from lost
            raise

    @asynccontextmanager
    async def at_most(self, seconds: float) -> AsyncIterator[None]:
        """Wraps the work. Other errors pass unchanged.

        Raises:
            TooMuch: it took longer, or exceeded a limit of the server.
            ConnectionLost: the connection ended before the time was over.
        """
        self._under_way = True
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError as late:
            if self._gone():
                raise ConnectionLost("the connection has ended") from late
            raise TooMuch(f"it took longer than {seconds:g} s") from late
        except (StoreFailure, ApplyFailed, *_TOO_MUCH) as error:
            # A worker's error was wrapped on its way here, or named as a bug.
            cause = error.__cause__ or error
            if isinstance(cause, _TOO_MUCH):
                raise TooMuch(f"{type(cause).__name__} (SQLSTATE {cause.sqlstate})") from cause
            raise
        self._under_way = False


@asynccontextmanager
async def savepoint(connection: Connection) -> AsyncIterator[None]:
    """A part of a transaction that can fail alone. Raises as `translated`."""
    async with translated(connection), connection.transaction():
        yield


def _without_content(error: Exception) -> str:
    # The server's own message quotes the refused value; this text goes into headers and logs.
    where = getattr(error, "constraint_name", None) or getattr(error, "column_name", None)
    reason = f"the database refuses it: {type(error).__name__} (SQLSTATE {getattr(error, 'sqlstate', None)})"
    return f"{reason}, {where}" if where else reason
