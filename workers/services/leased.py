"""What services under a lease share: rounds of work until they are stopped, and a failure deadline for the database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final, Protocol, TypeVar
from uuid import uuid4

import structlog
from asyncpg import Pool

from workers.errors import ExitCode
from workers.process.failure_deadline import FailureDeadline
from workers.process.identity import owner
from workers.process.tasks import ended
from workers.store import leases
from workers.store.connection import Connection
from workers.store.failures import Conflict, ConnectionLost, StoreFailure, translated
from workers.store.leases import Holder

# How long a killed or paused process blocks others. A holder that needs longer renews.
LEASE_S: Final = 15.0

T = TypeVar("T")

log = structlog.get_logger()


class Service(Protocol):
    """Something that the supervisor runs until it ends or is asked to stop."""

    @property
    def name(self) -> str: ...
    @property
    def consuming(self) -> asyncio.Event:
        """Set once the service works."""
        ...

    async def run(self) -> ExitCode: ...
    def stop(self) -> None: ...


def _new_holder(name: str) -> Holder:
    """A new lease holder for this process."""
    return Holder(uuid4(), owner(name))


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """One transaction on a connection of its own. Raises as `workers.store.failures.translated`."""
    async with translated(), pool.acquire() as held, translated(held), held.transaction():
        yield held


@asynccontextmanager
async def connection(pool: Pool) -> AsyncIterator[Connection]:
    """A connection for single statements that change nothing. Raises as `workers.store.failures.translated`."""
    async with translated(), pool.acquire() as held, translated(held):
        yield held


@asynccontextmanager
async def keeping_leases(pool: Pool, holder: Holder) -> AsyncIterator[None]:
    """Renews the holder's leases while the work in the block runs, for any time.

    A lost lease does not stop the work: it must be safe to do twice.
    """
    renewing = asyncio.create_task(_renew(pool, holder), name=f"renew {holder.owner}")
    try:
        yield
    finally:
        await ended(renewing)


async def _renew(pool: Pool, holder: Holder) -> None:
    while True:
        await asyncio.sleep(LEASE_S / 3)
        try:
            async with transaction(pool) as tx:
                await leases.renew(tx, holder, LEASE_S)
        except StoreFailure as error:
            log.debug("Leases could not be renewed; trying again.", action="not_renewed", error=str(error))


class LeasedService:
    """Works in rounds, under leases that it gives back at its end. A round that failed for a temporary reason is tried
    again later. A subclass says what a round does.
    """

    def __init__(self, name: str, pool: Pool, after_failure_s: float, unreachable_after_s: float) -> None:
        self.name = name
        self.consuming = asyncio.Event()
        self._pool = pool
        self._holder = _new_holder(name)
        self._after_failure_s = after_failure_s
        self._database = FailureDeadline(unreachable_after_s, "PostgreSQL did not answer")
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Stops after the transaction or the publication in progress, if any."""
        self._stop.set()

    async def run(self) -> ExitCode:
        """Works until stopped.

        Raises:
            ApplyFailed: the work raised.
            Unreachable, SetupError: PostgreSQL or Kafka is gone, or refuses.
        """
        try:
            while not self._stop.is_set():
                pause_s = await self._tried_round()
                if pause_s > 0:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._stop.wait(), pause_s)
        finally:
            await self._close()
        return ExitCode.CLEAN

    async def _tried_round(self) -> float:
        try:
            pause_s = await self._round()
            self._database.answered()
        except Conflict as conflict:
            log.info("A conflict with another transaction; trying again.", action="retried", error=str(conflict))
        except ConnectionLost as gone:
            self._database.failed_with(gone)
            log.debug("PostgreSQL does not answer; trying again.", action="database_unreachable")
        else:
            return pause_s
        return self._after_failure_s

    async def _round(self) -> float:
        """One round of work. Returns the pause after it in seconds; 0: the next round follows at once."""
        raise NotImplementedError

    async def _close(self) -> None:
        try:
            async with transaction(self._pool) as tx:
                await leases.release(tx, self._holder)
        except StoreFailure:
            log.debug("A lease could not be released; it expires.", action="not_released", service=self.name)
