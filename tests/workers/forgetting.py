"""Runs the job that erases old content."""

from datetime import datetime

from asyncpg import Pool

from tests.workers.asking import ask, give
from tests.workers.records import WORKSPACE
from workers.messages import retention
from workers.services.job_runner import Unfinished


async def keep(pool: Pool, days: int | None, workspace_id: str = WORKSPACE, minutes: float = 0) -> None:
    """From now on the workspace keeps content for so many days."""
    wanted = {"message_retention_days": days}
    await give(pool, ask("configure_workspace", workspace_id=workspace_id, minutes=minutes, set=wanted))


async def forget(pool: Pool, now: datetime, most: int = 1_000) -> int:
    """Steps of the job as of `now` until nothing is left, at most so many. Returns how many did something."""
    for number in range(most):
        async with pool.acquire() as tx, tx.transaction():
            if not isinstance(await retention.erase(tx, now), Unfinished):
                return number
    return most
