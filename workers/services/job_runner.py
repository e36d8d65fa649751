"""Timed jobs: work that no input record causes. The holder of the job's lease runs it, once per interval."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from asyncpg import Pool

from workers.errors import ApplyFailed, RetryBatch, SluiceError
from workers.process.metrics.of_workers import JOBS
from workers.records import Event
from workers.runtime import verdicts
from workers.runtime.outbox_rows import events_in_order, shared_keys
from workers.services.leased import LEASE_S, LeasedService, transaction
from workers.store import closing, job_outbox, leases, unpublished
from workers.store.connection import Connection
from workers.store.failures import StoreFailure, translated

DECIDES: Final = "jobs"
"""Who decided, in metrics, what a job did."""
_SHORTEST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 20.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A step is done and there is more. The job runs again in a new transaction, after a pause as long as this step
    took.
    """

    events: Sequence[Event] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """`run(tx, now)` does a bounded part of the work in the given transaction and returns its events.

    `now` is the transaction's time on the database's clock. The job runs again `every_seconds` after its last run in
    any process; after `Unfinished` it runs again after as long as the step took. It may raise RetryBatch.
    """

    name: str
    every_seconds: float
    run: Callable[[Connection, datetime], Awaitable[Sequence[Event] | Unfinished]]


class JobRunner(LeasedService):
    """Runs one job; a service of the supervisor."""

    def __init__(self, job: Job, pool: Pool, unreachable_after_s: float = 60.0) -> None:
        super().__init__(f"job {job.name}", pool, _pause(job.every_seconds / 4), unreachable_after_s)
        self._job = job

    async def _round(self) -> float:
        async with transaction(self._pool) as tx:
            due_in = await leases.take(tx, self.name, self._holder, LEASE_S, self._job.every_seconds)
        self.consuming.set()
        if due_in is None or due_in > 0:
            return _pause(due_in or self._job.every_seconds)
        began = time.monotonic()
        try:
            more = await self._once()
        except RetryBatch:
            return _SHORTEST_PAUSE_S
        # A job with much work leaves half of the time to others.
        return min(_LONGEST_PAUSE_S, time.monotonic() - began) if more else _pause(self._job.every_seconds)

    async def _once(self) -> bool:
        async with transaction(self._pool) as tx:
            now = await leases.lock_lease(tx, self.name, self._holder)
            if now is None:
                return False
            await closing.hold_open(tx)
            result = await self._result(tx, now)
            more = isinstance(result, Unfinished)
            events = result.events if isinstance(result, Unfinished) else result
            earlier = await unpublished.earlier(tx, shared_keys(events))
            await job_outbox.put(tx, events_in_order(events, earlier))
            if not more:
                await leases.ran(tx, self.name)
        JOBS.labels(self._job.name).inc()
        verdicts.count(DECIDES, events)
        return more

    async def _result(self, tx: Connection, now: datetime) -> Sequence[Event] | Unfinished:
        try:
            async with translated(tx):
                return await self._job.run(tx, now)
        except (StoreFailure, RetryBatch, SluiceError, asyncio.CancelledError):
            raise
        except BaseException as error:
            raise ApplyFailed(f"job {self._job.name}: {type(error).__name__}") from error


def _pause(seconds: float) -> float:
    return min(_LONGEST_PAUSE_S, max(_SHORTEST_PAUSE_S, seconds))
