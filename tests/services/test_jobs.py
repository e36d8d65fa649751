"""A job with much work leaves half of the time to others."""

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from asyncpg import Pool

from workers.errors import ExitCode
from workers.records import Event
from workers.services.job_runner import Job, JobRunner, Unfinished
from workers.store.connection import Connection


async def test_after_a_step_a_job_waits_as_long_as_the_step_took(pool: Pool) -> None:
    steps: list[tuple[float, float]] = []

    async def work(tx: Connection, _now: datetime) -> Sequence[Event] | Unfinished:
        began = time.monotonic()
        await tx.execute("SELECT pg_sleep(0.2)")
        steps.append((began, time.monotonic()))
        if len(steps) < 3:
            return Unfinished()
        runner.stop()
        return ()

    runner = JobRunner(Job("work", 3600, work), pool)
    assert await asyncio.wait_for(runner.run(), 30) is ExitCode.CLEAN
    assert all(following - ended >= ended - began for (began, ended), (following, _) in pairwise(steps))
    assert len(steps) == 3
