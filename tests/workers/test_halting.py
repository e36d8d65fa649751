"""Runs that end with their contact or their family, and transactions that must see each other."""

import asyncio
from typing import Any

import pytest
from asyncpg import Pool

from tests.workers.records import DAY, at, batch, message, uuid_of
from tests.workers.runs import RUNS, apply, block, controls, finish, meet, rows, start, step, values
from workers.errors import RetryBatch
from workers.records import Output, Record
from workers.rules.blocks import Interval
from workers.rules.workflows import ContactGone
from workers.store import contacts
from workers.workflows import halting, worker


async def test_a_block_halts_what_runs_and_tells_each_run_once(pool: Pool) -> None:
    contact = await meet(pool)
    await apply(pool, start("a", 1), start("b", 2, "shortcut"), start("done", 1), finish("done", 5), step("a", 3))
    halted, outputs = await block(pool, contact, (10, None))

    assert halted == 2
    assert controls(outputs) == [("a", "run_halted", "contact_blocked"), ("b", "run_halted", "contact_blocked")]
    assert [v["revision"] for v in values(outputs)] == [3, 3]
    assert await rows(pool, RUNS) == [
        ("a", "automatic", "halted", "contact_blocked"),
        ("b", "shortcut", "halted", "contact_blocked"),
        ("done", "automatic", "finished", None),
    ]
    again = await apply(pool, step("a", 4, step_id="2"), step("a", 12, step_id="3"))
    assert [(o.event.ce_id, o.event.value) for o in again] == [(outputs[0].event.ce_id, outputs[0].event.value)] * 2
    assert await block(pool, contact, (10, 20)) == (0, [])


async def test_a_block_learned_late_refuses_the_run_that_ran_until_then(pool: Pool) -> None:
    contact = await meet(pool)
    assert controls(await apply(pool, start("r", 15), step("r", 16, "send_message"))) == [("r", "step_granted", None)]
    halted, outputs = await block(pool, contact, (10, None))

    assert (halted, controls(outputs)) == (0, [("r", "run_refused", "contact_blocked")])
    assert await rows(pool, RUNS) == [("r", "automatic", "refused", "contact_blocked")]


async def test_an_unblock_learned_late_changes_the_state_but_grants_nothing(pool: Pool) -> None:
    contact = await meet(pool)
    await block(pool, contact, (10, None))
    [refused] = await apply(pool, start("r", 15))
    assert await block(pool, contact, (10, 12), command="unblock") == (0, [])

    assert await rows(pool, RUNS) == [("r", "automatic", "running", None)]
    [again] = await apply(pool, step("r", 16))
    assert (again.event.ce_id, again.event.value) == (refused.event.ce_id, refused.event.value)


async def test_an_end_that_late_facts_change_and_change_back_is_three_facts(pool: Pool) -> None:
    contact = await meet(pool)
    await apply(pool, start("r", 15))
    told = []
    for number, history in enumerate([(10, None), (20, None), (10, None)]):
        told += (await block(pool, contact, history, command=f"block {number}"))[1]

    assert [(v["control"], v["revision"]) for v in values(told)] == [
        ("run_refused", 3),
        ("run_halted", 4),
        ("run_refused", 5),
    ]
    assert len({fact.event.ce_id for fact in told}) == 3


HELD = """
    INSERT INTO sluice_core.sends (workspace_id, send_id, contact_id, channel, channel_id, content, source, run_id,
        step_id, requested_by, requested_role, requested_at, status, applied_at, updated_at)
    SELECT $1, $3, $2, 'whatsapp', 'whatsapp-main', '{}', 'workflow', 'r', '1', 'engine', 'system', $4, 'held', $4, $4
"""


async def test_the_held_send_of_a_run_that_a_step_halts_is_refused_and_its_step_hears_of_it(pool: Pool) -> None:
    contact = await meet(pool)
    await block(pool, contact, (10, None))
    await apply(pool, start("r", 11, "shortcut"))
    await rows(pool, HELD, *contact, uuid_of("send"), at(12))
    outputs = await apply(pool, step("r", 13, "ask_question", step_id="2"))

    assert [(v["control"], v["step_id"], v["revision"]) for v in values(outputs)] == [
        ("run_halted", "2", 3),
        ("step_resolved", "1", 3),
    ]
    assert await rows(pool, "SELECT status, reason FROM sluice_core.sends") == [("refused", "run_halted")]


async def test_a_child_of_another_contact_halts_with_its_parent_and_counts_for_the_block(pool: Pool) -> None:
    contact = await meet(pool)
    other = await meet(pool, "+4915187654321")
    await apply(pool, start("r", 1), start("child", 2, contact_id=str(other[1]), parent_run_id="r"))
    halted, outputs = await block(pool, contact, (10, None))
    assert (halted, len(outputs)) == (2, 2)
    assert {row[2:] for row in await rows(pool, RUNS)} == {("halted", "contact_blocked")}


async def test_a_merged_contact_s_runs_halt_and_stay_halted_when_it_is_gone(pool: Pool) -> None:
    contact = await meet(pool)
    await apply(pool, start("r", 1), start("done", 1), finish("done", 2))
    async with pool.acquire() as tx, tx.transaction():
        await contacts.lock_for_update(tx, [contact])
        cuts = {contact: ContactGone(at(5), "contact_merged")}
        halted, outputs = await halting.end(tx, cuts, {contact: message()}, DAY)
        await tx.execute("DELETE FROM sluice_core.contacts")
    assert (dict(halted), controls(outputs)) == ({contact: 1}, [("r", "run_halted", "contact_merged")])
    assert controls(await apply(pool, step("r", 3))) == [("r", "run_halted", "contact_merged")]
    assert await rows(pool, RUNS) == [
        ("done", "automatic", "finished", None),
        ("r", "automatic", "halted", "contact_merged"),
    ]


async def test_a_run_started_twice_at_once_is_decided_again(pool: Pool) -> None:
    await meet(pool)
    async with pool.acquire() as one, pool.acquire() as two:
        async with one.transaction():
            await worker.apply(one, batch(start("r", 1, "shortcut")))
            second = asyncio.create_task(_apply_alone(two, start("r", 2)))
            await waiting(pool)
        with pytest.raises(RetryBatch):
            await second
    assert await rows(pool, RUNS) == [("r", "shortcut", "running", None)]


async def test_a_child_started_while_its_parent_halts_halts_too(pool: Pool) -> None:
    contact = await meet(pool)
    await block(pool, contact, (10, None))
    await apply(pool, start("r", 11, "shortcut"))
    async with pool.acquire() as one, pool.acquire() as two:
        async with one.transaction():
            await worker.apply(one, batch(start("child", 12, parent_run_id="r")))
            halting_step = asyncio.create_task(_apply_alone(two, step("r", 13, "send_message")))
            await waiting(pool)
        outputs = await halting_step
    assert sorted(run for run, _, _ in controls(outputs)) == ["child", "r"]


async def test_a_start_waits_for_the_block_that_is_under_way(pool: Pool) -> None:
    contact = await meet(pool)
    async with pool.acquire() as one, pool.acquire() as two:
        async with one.transaction():
            await contacts.lock_for_update(one, [contact])
            starting = asyncio.create_task(_apply_alone(two, start("r", 11)))
            await waiting(pool)
            await contacts.save_blocks(one, {contact: (Interval(at(10), None, "ann"),)})
        assert controls(await starting) == [("r", "run_refused", "contact_blocked")]


async def _apply_alone(connection: Any, *records: Record[Any]) -> list[Output]:
    async with connection.transaction():
        return await worker.apply(connection, batch(*records))


async def waiting(pool: Pool) -> None:
    """Until some transaction waits for another."""
    blocked = "SELECT count(*) FROM pg_locks, pg_sleep(0.01) WHERE NOT granted"
    async with pool.acquire() as connection, asyncio.timeout(10):
        while not await connection.fetchval(blocked):
            pass
