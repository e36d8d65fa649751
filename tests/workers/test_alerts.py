"""The job that compares counts with the limits of their workspaces, and who tells it which."""

import asyncio
from datetime import datetime

import msgspec
from asyncpg import Pool

from tests.support.databases import until
from tests.workers.asking import ask, give
from tests.workers.ingesting import ingest, rows
from tests.workers.records import DAY, WORKSPACE, message
from workers.billing import alerts, mac_topic
from workers.services.job_runner import Unfinished

CHECKS = "SELECT count(*) FROM alert_checks"


async def published(pool: Pool) -> None:
    """All changed counts, as the publisher does."""
    async with pool.acquire() as tx, tx.transaction():
        await mac_topic.clear(tx, await mac_topic.load(tx, 500))


async def tell(pool: Pool, now: datetime = DAY) -> list[tuple[str, int]]:
    """Runs the job once: workspaces with the thresholds it tells."""
    async with pool.acquire() as tx, tx.transaction():
        result = await alerts.tell(tx, now)
        events = result.events if isinstance(result, Unfinished) else result
        return [(event.workspace_id, msgspec.json.decode(event.value or b"")["threshold"]) for event in events]


async def test_only_counts_that_changed_or_whose_limit_changed_are_compared(pool: Pool) -> None:
    await ingest(pool, message(), message(workspace_id="other"))
    await published(pool)
    assert await rows(pool, CHECKS) == [(0,)]  # nobody has a limit

    await give(pool, ask("configure_workspace", set={"mac_limit": 2}))
    assert await rows(pool, CHECKS) == [(1,)]
    assert await tell(pool) == []
    assert await rows(pool, CHECKS) == [(0,)]

    await give(pool, ask("configure_workspace", minutes=1, set={"hold_ttl_hours": 2}))
    await published(pool)
    assert await rows(pool, CHECKS) == [(0,)]

    await ingest(pool, message("+4915100000002"), message("+4915100000002", workspace_id="other"))
    await published(pool)
    assert await tell(pool) == [(WORKSPACE, 80), (WORKSPACE, 100)]
    assert await tell(pool) == []


async def test_a_cycle_that_is_closed_is_compared_with_the_limit_that_held_then(pool: Pool) -> None:
    await give(pool, ask("configure_workspace", set={"mac_limit": 1}))
    await ingest(pool, message())
    await published(pool)
    await pool.execute("UPDATE mac_cycles SET status = 'closed', closed_at = $1", DAY)
    await give(pool, ask("configure_workspace", minutes=5, set={"mac_limit": 0}))
    assert await tell(pool) == [(WORKSPACE, 80), (WORKSPACE, 100)]

    # Adjustments mark it again.
    await pool.execute("INSERT INTO unpublished_cycles SELECT workspace_id, cycle_start, '', 9 FROM mac_cycles")
    await published(pool)
    assert await tell(pool) == []


async def test_two_workers_tell_an_alert_once(pool: Pool) -> None:
    """Even if both ran the job at a time, which its lease excludes: the second one waits for the first."""
    await give(pool, ask("configure_workspace", set={"mac_limit": 1}))
    await ingest(pool, message())
    await published(pool)
    async with pool.acquire() as first:
        transaction = first.transaction()
        await transaction.start()
        assert await alerts.tell(first, DAY)
        await pool.execute(
            "INSERT INTO alert_checks (workspace_id, cycle_start) SELECT workspace_id, cycle_start FROM mac_cycles"
        )
        second = asyncio.create_task(tell(pool))
        await until(pool, "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        await transaction.commit()
    assert await second == []
