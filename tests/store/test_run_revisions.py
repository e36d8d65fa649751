"""Facts about runs are numbered one after the other, whoever tells them, and never lead into a deadlock."""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from asyncpg import Pool

from workers.store import sends

ADD = """INSERT INTO workflow_runs (workspace_id, run_id, workflow_id, trigger, started_at, state, revision)
    SELECT 'acme', 'r' || n, 'w', 'automatic', $1, 'running', 1 FROM generate_series(3, 1, -1) AS n"""


async def test_runs_are_locked_in_order_and_numbered_from_what_was_committed_meanwhile(pool: Pool) -> None:
    facts = Counter({("acme", f"r{n}"): n for n in (3, 1, 2)} | {("acme", "unknown"): 1})
    async with pool.acquire() as first, pool.acquire() as second:
        await first.execute(ADD, datetime(2026, 3, 10, tzinfo=UTC))
        async with first.transaction():
            await first.execute("UPDATE workflow_runs SET revision = 10 WHERE run_id = 'r1'")
            behind = asyncio.create_task(_raise(second, facts))
            while not await pool.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
                assert not behind.done()
            await first.execute("SELECT FROM workflow_runs WHERE run_id <> 'r1' FOR UPDATE NOWAIT")

        assert await behind == {("acme", "r1"): 11, ("acme", "r2"): 3, ("acme", "r3"): 4}


async def _raise(connection: Any, facts: Counter[tuple[str, str]]) -> dict[tuple[str, str], int]:
    async with connection.transaction():
        return await sends.raise_run_revisions(connection, facts)
