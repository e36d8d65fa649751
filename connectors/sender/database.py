"""PostgreSQL for senders: claims, the state of attempts, and who else sends. Needs the role `sluice_sender`."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
from asyncpg import exceptions as pg

from schemas.outputs import SendDispatch
from workers.app.settings import Settings
from workers.errors import SetupError

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
"""No answer now: ask again. A claim that was committed without an answer is denied the next time."""
_REFUSED: Final = (pg.InvalidAuthorizationSpecificationError, pg.InvalidCatalogNameError)
_NOT_THERE: Final = (pg.UndefinedFunctionError, pg.UndefinedTableError, pg.InvalidSchemaNameError)
_STATEMENT_S: Final = 10.0
_CONNECTIONS: Final = 12


def _query(name: str) -> str:
    return files(__package__).joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")


_CLAIM: Final = _query("claim")
_ATTEMPT: Final = _query("attempt")
_JOIN: Final = _query("join")
_LEAVE: Final = _query("leave")


class Claim(NamedTuple):
    """Whether an attempt may be made; if not, why."""

    granted: bool
    reason: str | None


class AttemptState(NamedTuple):
    """What receipts said of an attempt, and how long ago it was claimed."""

    status: str
    claimed_s_ago: float


class Database:
    """The database, by a few connections. Each statement is a transaction of its own.

    Every method raises an error of `AWAY` if the database does not answer, and SetupError if it refuses or lacks what a
    sender needs.
    """

    def __init__(self, settings: Settings) -> None:
        self._url = settings.required_database_url()
        self._pool: Any = None

    async def ask(self) -> None:
        """Returns once the database has answered. Connects, if that was not possible before."""
        await self._fetch("SELECT 1")

    def close(self) -> None:
        """Does nothing: `stop` ends the connections."""

    async def stop(self) -> None:
        """Closes the connections at once."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.terminate()

    async def claim(self, send: SendDispatch) -> Claim:
        """Claims an attempt; once this has returned, the claim is committed."""
        [(granted, reason)] = await self._fetch(_CLAIM, send.workspace_id, send.send_id, send.attempt)
        return Claim(granted, reason)

    async def attempt(self, send: SendDispatch) -> AttemptState | None:
        """The state of a claimed attempt; None if it was not claimed."""
        rows = await self._fetch(_ATTEMPT, send.workspace_id, send.send_id, send.attempt)
        return AttemptState(*rows[0]) if rows and rows[0][1] is not None else None

    async def join(self, group: str, member: UUID, channels: bytes) -> bool:
        """Whether this member may serve these channels (a digest) for the next minute."""
        [(joined,)] = await self._fetch(_JOIN, group, member, channels)
        return bool(joined)

    async def leave(self, group: str, member: UUID) -> None:
        """Ends the membership."""
        await self._fetch(_LEAVE, group, member)

    async def _fetch(self, query: str, *arguments: object) -> list[Any]:
        with _explained():
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._url,
                    min_size=0,
                    max_size=_CONNECTIONS,
                    command_timeout=_STATEMENT_S,
                    reset=_nothing,
                    server_settings={"application_name": "sluice-sender"},
                )
            rows: list[Any] = await self._pool.fetch(query, *arguments)
            return rows


async def _nothing(_connection: object) -> None:
    """No statement leaves a state behind; asyncpg would ask the server to clear it, once for each claim."""


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except _REFUSED as error:
        raise SetupError(f"PostgreSQL refuses the connection of SLUICE_DATABASE_URL: {error}") from error
    except pg.InsufficientPrivilegeError as error:
        raise SetupError(
            f"the database's user lacks a right (a sender needs the role sluice_sender): {error}"
        ) from error
    except _NOT_THERE as error:
        raise SetupError(f"the database's schema is not up to date: run `sluice migrate` ({error})") from error
