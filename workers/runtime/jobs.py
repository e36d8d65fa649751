"""Timed jobs: work that no input record causes, done by whoever holds the job's lease, once per interval."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from asyncpg import Pool

from workers.errors import ApplyFailed, ExitCode, RetryBatch, SluiceError
from workers.runtime.batch import Connection, Fact
from workers.runtime.effects import facts_in_order, shared_keys
from workers.runtime.services import LEASE_S, Ticker, new_holder, transaction
from workers.runtime.telemetry import JOBS
from workers.store import leases, outbox, told
from workers.store.failures import StoreFailure

_SHORTEST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 20.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A step was done and there is more: the job runs again at once, in a transaction of its own."""

    facts: Sequence[Fact] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """`run(tx, now)` does a bounded piece of work in the given transaction and returns the facts it makes.

    `now` is the transaction's time on the database's clock. It runs `every_seconds` after it last ran anywhere, and
    again at once after returning `Unfinished`. It may raise RetryBatch.
    """

    name: str
    every_seconds: float
    run: Callable[[Connection, datetime], Awaitable[Sequence[Fact] | Unfinished]]


class JobRunner:
    """Runs one job; a service of the supervisor."""

    def __init__(self, job: Job, pool: Pool, unreachable_after_s: float = 60.0) -> None:
        self.name = f"job {job.name}"
        self.consuming = asyncio.Event()
        self._job = job
        self._pool = pool
        self._holder = new_holder(job.name)
        self._lease = f"job {job.name}"
        self._ticker = Ticker(self._round, _pause(job.every_seconds / 4), unreachable_after_s)

    def stop(self) -> None:
        """After the transaction under way, if any."""
        self._ticker.stop()

    async def run(self) -> ExitCode:
        """Until stopped.

        Raises:
            ApplyFailed: the job raised.
            Unreachable, SetupError: PostgreSQL is gone, or refuses a right.
        """
        try:
            await self._ticker.run()
        finally:
            await self._give_back()
        return ExitCode.CLEAN

    async def _round(self) -> float:
        async with transaction(self._pool) as tx:
            due_in = await leases.take(tx, self._lease, self._holder, LEASE_S, self._job.every_seconds)
        self.consuming.set()
        if due_in is None or due_in > 0:
            return _pause(due_in or self._job.every_seconds)
        try:
            return 0 if await self._once() else _pause(self._job.every_seconds)
        except RetryBatch:
            return _SHORTEST_PAUSE_S

    async def _once(self) -> bool:
        async with transaction(self._pool) as tx:
            now = await leases.hold(tx, self._lease, self._holder)
            if now is None:
                return False
            result = await self._result(tx, now)
            more = isinstance(result, Unfinished)
            facts = result.facts if isinstance(result, Unfinished) else result
            earlier = await told.earlier(tx, shared_keys(facts))
            await outbox.put(tx, facts_in_order(facts, earlier))
            JOBS.labels(self._job.name).inc()
            if not more:
                await leases.ran(tx, self._lease)
        return more

    async def _result(self, tx: Connection, now: datetime) -> Sequence[Fact] | Unfinished:
        try:
            return await self._job.run(tx, now)
        except (StoreFailure, RetryBatch, SluiceError, asyncio.CancelledError):
            raise
        except BaseException as error:
            raise ApplyFailed(f"job {self._job.name}: {type(error).__name__}") from error

    async def _give_back(self) -> None:
        try:
            async with transaction(self._pool) as tx:
                await leases.release(tx, self._holder)
        except StoreFailure:
            log.warning("A job's lease could not be given back; it expires.", action="not_released", job=self._job.name)


def _pause(seconds: float) -> float:
    return min(_LONGEST_PAUSE_S, max(_SHORTEST_PAUSE_S, seconds))
