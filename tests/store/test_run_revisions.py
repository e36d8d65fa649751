"""Events about one run are in the order of its revisions, from any writer, without deadlocks."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from asyncpg import Pool

from workers.store import sends

ADD = """INSERT INTO workflow_runs (workspace_id, run_id, workflow_id, trigger, started_at, state, revision)
    SELECT 'acme', 'r' || n, 'w', 'automatic', $1, 'running', n FROM generate_series(3, 1, -1) AS n"""


async def test_runs_are_locked_in_order_and_read_as_they_were_committed_meanwhile(pool: Pool) -> None:
    runs = {("acme", "r3"), ("acme", "r1"), ("acme", "r2"), ("acme", "unknown")}
    async with pool.acquire() as first, pool.acquire() as second:
        await first.execute(ADD, datetime(2026, 3, 10, tzinfo=UTC))
        async with first.transaction():
            await first.execute("UPDATE workflow_runs SET revision = 10 WHERE run_id = 'r1'")
            behind = asyncio.create_task(_lock(second, runs))
            while not await pool.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
                assert not behind.done()
            await first.execute("SELECT FROM workflow_runs WHERE run_id <> 'r1' FOR UPDATE NOWAIT")

        assert await behind == {("acme", "r1"): 10, ("acme", "r2"): 2, ("acme", "r3"): 3}


async def _lock(connection: Any, runs: set[tuple[str, str]]) -> dict[tuple[str, str], int]:
    async with connection.transaction():
        return await sends.lock_run_revisions(connection, runs)
