"""Closes cycles as the billing worker does, without Kafka."""

from datetime import datetime, timedelta
from typing import Any

from asyncpg import Pool

from schemas.topics import INPUTS
from workers.billing.closing import JOBS
from workers.services.job_runner import Unfinished
from workers.store.connection import transaction_time

CLOSED = """
    SELECT closed_contacts, active_contacts, adjustments, status FROM sluice.mac_counts
    JOIN mac_cycles USING (workspace_id, cycle_start) WHERE workspace_id = $1 ORDER BY cycle_start
"""
ADJUSTED = (
    "SELECT amount, cause, fact_id FROM sluice_core.mac_adjustments WHERE workspace_id = $1 ORDER BY adjustment_id"
)


async def applied_past(pool: Pool, instant: datetime) -> None:
    """Every input partition stands at an end that was read five minutes after the instant."""
    await pool.executemany(
        "INSERT INTO input_ends VALUES ($1, 0, 0, $2) ON CONFLICT (topic, partition) DO UPDATE SET read_at = $2",
        [(topic.name, instant + timedelta(minutes=5, seconds=1)) for topic in INPUTS],
    )


async def close(pool: Pool) -> None:
    """Runs both jobs until there is nothing left to do."""
    for job in JOBS:
        more: Any = Unfinished()
        while isinstance(more, Unfinished):
            async with pool.acquire() as tx, tx.transaction():
                more = await job.run(tx, await transaction_time(tx))
