"""Ends that reach very many runs: in effect at once, run by run in steps; the cost is that of the changed runs."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from asyncpg import Pool

from tests.workers.asking import ask, results
from tests.workers.records import WORKSPACE, at, batch
from tests.workers.runs import apply, controls, finish, meet, rows, start, step
from tests.workers.stepping import steps
from workers.store import pending_work
from workers.workflows import worker

STORED: Final = "SELECT state, count(*) FROM sluice_core.workflow_runs GROUP BY state ORDER BY state"
SHOWN: Final = "SELECT state, reason, count(*) FROM sluice.workflow_runs GROUP BY 1, 2 ORDER BY 1"
WORK: Final = "SELECT kind, done, total FROM sluice.pending_work"
HALTED: Final = ("halted", "contact_blocked")

READ: Final = """
    SELECT coalesce(sum(idx_tup_fetch + seq_tup_read), 0) FROM pg_stat_xact_user_tables WHERE relname = 'workflow_runs'
"""
MANY: Final = """
    INSERT INTO sluice_core.workflow_runs (workspace_id, run_id, workflow_id, contact_id, trigger, parent_run_id,
        started_at, state, revision)
    SELECT $1, $2 || n, 'w', $3, 'automatic',
        CASE WHEN $4 = 'parent' THEN 'top' WHEN $4 = 'chain' AND n > 1 THEN $2 || n - 1 END, $5, 'running', 2
    FROM generate_series(1, $6::int) n
"""


async def many(pool: Pool, contact: UUID, number: int, shape: str = "", name: str = "r") -> None:
    """Running runs of a contact: beside each other, children of `top`, or each the child of the one before."""
    await rows(pool, f"{MANY} RETURNING 1", WORKSPACE, name, contact, shape, at(1), number)
    await pool.execute("ANALYZE")


async def blocked(pool: Pool, contact: UUID, minutes: float = 10, command: str = "block_contact") -> Mapping[str, Any]:
    [changed] = await results(pool, ask(command, minutes=minutes, contact_id=contact))
    assert isinstance(changed, dict)
    return changed


async def test_a_block_of_sixty_thousand_runs_holds_at_once_and_is_told_in_steps(pool: Pool) -> None:
    _, contact = await meet(pool)
    await many(pool, contact, 60_000)
    assert (await blocked(pool, contact))["runs_halted"] == 60_000
    assert await rows(pool, STORED) == [("running", 60_000)]
    one = "SELECT state, reason FROM sluice.workflow_runs WHERE workspace_id = $1 AND run_id = $2"
    assert await rows(pool, one, WORKSPACE, "r59999") == [HALTED]
    assert set(controls(await apply(pool, step("r3", 11), start("new", 11, contact_id=str(contact))))) == {
        ("r3", "run_halted", "contact_blocked"),
        ("new", "run_refused", "contact_blocked"),
    }
    assert await rows(pool, WORK) == [("halt runs", 0, 60_000)]

    facts = await steps(pool, 3)
    assert len(facts) == 3 * pending_work.STEP - 2
    facts += await steps(pool, 100)
    assert await rows(pool, STORED) == [("halted", 60_000), ("refused", 1)]
    assert len({fact.key for fact in facts}) == len(facts) == 59_999
    assert await rows(pool, WORK) == []


async def test_a_parent_of_twenty_thousand_children_costs_what_changes(pool: Pool) -> None:
    _, contact = await meet(pool)
    _, other = await meet(pool, "+4915187654321")
    await apply(pool, start("top", 1, contact_id=str(contact)))
    await many(pool, other, 20_000, "parent")
    for events in ([step("r7", 2)], [finish("r8", 2)], [step("top", 2)], [start("r20001", 2, parent_run_id="top")]):
        async with pool.acquire() as tx, tx.transaction():
            await tx.execute(
                "SET LOCAL random_page_cost = 1.1"
            )  # as on solid-state disks: else a table as small is read
            before = await tx.fetchval(READ)
            await worker.apply(tx, batch(*events))
            assert await tx.fetchval(READ) - before < 30

    assert (await blocked(pool, contact))["runs_halted"] == 20_001
    assert await rows(pool, SHOWN) == [("finished", None, 1), (*HALTED, 20_001)]
    [(told,)] = await rows(pool, "SELECT count(*) FROM sluice_core.workflow_runs WHERE published IS NOT NULL")
    assert pending_work.ROWS_AT_ONCE <= told < 20_001
    facts = await steps(pool, 100)
    assert len({fact.key for fact in facts}) == len(facts) == 20_001 - told
    assert await rows(pool, STORED) == [("finished", 1), ("halted", 20_001)]


async def test_a_chain_of_twenty_thousand_runs_ends_with_the_first(pool: Pool) -> None:
    _, contact = await meet(pool)
    _, other = await meet(pool, "+4915187654321")
    await many(pool, other, 20_000, "chain")
    await pool.execute("UPDATE sluice_core.workflow_runs SET contact_id = $1 WHERE run_id = 'r1'", contact)
    assert (await blocked(pool, contact))["runs_halted"] == 20_000
    assert set(controls(await apply(pool, step("r20000", 11)))) == {("r20000", "run_halted", "contact_blocked")}
    one = "SELECT state, reason FROM sluice.workflow_runs WHERE workspace_id = $1 AND run_id = $2"
    assert await rows(pool, one, WORKSPACE, "r19999") == [HALTED]
    await steps(pool, 100)
    assert await rows(pool, STORED) == [("halted", 20_000)]
