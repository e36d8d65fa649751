"""What timed services share: a stop flag to wait on, and patience with a database that is away for a while."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, Protocol, TypeVar
from uuid import uuid4

import structlog
from asyncpg import Pool

from workers.errors import ExitCode, Unreachable
from workers.runtime.batch import Connection
from workers.runtime.tasks import ended
from workers.store import leases
from workers.store.failures import Conflict, ConnectionLost, StoreFailure, translated
from workers.store.leases import Holder

# How long a process that was killed or stands still keeps others from its work. Whoever needs longer renews.
LEASE_S: Final = 15.0

T = TypeVar("T")

log = structlog.get_logger()


class Service(Protocol):
    """Something the supervisor runs until it ends or is asked to stop."""

    @property
    def name(self) -> str: ...
    @property
    def consuming(self) -> asyncio.Event:
        """Set once it is at work."""
        ...

    async def run(self) -> ExitCode: ...
    def stop(self) -> None: ...


def new_holder(name: str) -> Holder:
    """A fresh holder of leases for this process."""
    return Holder(uuid4(), f"{socket.gethostname()}/{os.getpid()}/{name}")


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
async def kept(pool: Pool, holder: Holder) -> AsyncIterator[None]:
    """Renews the holder's leases while the work in the block goes on, however long that takes.

    A lease that is lost all the same stops nothing: what is done under it must bear to be done twice.
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
            log.warning("Leases could not be renewed; trying again.", action="not_renewed", error=str(error))


class Ticker:
    """Calls `work` again and again until stopped; a round that failed for a reason that passes is tried later.

    `work` returns for how many seconds to pause; 0: the next round follows at once.
    """

    def __init__(
        self, work: Callable[[], Awaitable[float]], after_failure_s: float, unreachable_after_s: float
    ) -> None:
        self._work = work
        self._after_failure_s = after_failure_s
        self._unreachable_after_s = unreachable_after_s
        self._stop = asyncio.Event()

    def stop(self) -> None:
        self._stop.set()

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    async def run(self) -> None:
        """Rounds until stopped.

        Raises:
            Unreachable: the database has not answered for the bound.
        """
        loop = asyncio.get_running_loop()
        answered = loop.time()
        while not self._stop.is_set():
            pause = self._after_failure_s
            try:
                pause = await self._work()
                answered = loop.time()
            except Conflict as conflict:
                log.info("Another transaction was in the way; trying again.", action="retried", error=str(conflict))
            except ConnectionLost as gone:
                if loop.time() - answered > self._unreachable_after_s:
                    raise Unreachable(
                        f"PostgreSQL did not answer for {self._unreachable_after_s:g} s: {gone}"
                    ) from gone
                log.warning("PostgreSQL does not answer; trying again.", action="database_unreachable")
            if pause > 0:
                await self._pause(pause)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return
