"""The workflows worker on a real database: events in, events and the view out."""

from collections.abc import Sequence
from typing import Any

from asyncpg import Pool

from schemas.ids import fact_id
from tests.workers.records import WORKSPACE, at, batch, uuid_of
from tests.workers.runs import RUNS, apply, block, controls, finish, meet, rows, start, step, values
from workers.records import Record
from workers.workflows import worker


async def test_a_granted_step_is_a_fact_about_the_run_and_the_step(pool: Pool) -> None:
    contact = await meet(pool)
    [granted] = await apply(pool, start("r", 1), step("r", 2, "send_message"))

    assert (granted.event.topic, granted.event.key) == ("workflows.control", b"acme:r")
    assert granted.event.ce_id == fact_id(
        "workflows.control", WORKSPACE, "r", "step_granted", "", "1", "2026-03-10T00:02:00+00:00", "revision 2"
    )
    assert values([granted]) == [
        {
            "workspace_id": WORKSPACE,
            "run_id": "r",
            "control": "step_granted",
            "step_id": "1",
            "outcome": None,
            "reason": None,
            "contact_id": str(contact[1]),
            "at": "2026-03-10T00:02:00Z",
            "revision": 2,
        }
    ]
    view = "SELECT workspace_id, run_id, workflow_id, contact_id, trigger, state, reason FROM sluice.workflow_runs"
    assert await rows(pool, view) == [(WORKSPACE, "r", "welcome", contact[1], "automatic", "running", None)]


async def test_a_repeated_step_is_answered_with_the_same_bytes_while_the_state_is_the_same(pool: Pool) -> None:
    await meet(pool)
    [first, other, again] = await apply(pool, start("r", 1), step("r", 2), step("r", 3, step_id="2"), step("r", 2))
    [later] = await apply(pool, step("r", 2))

    assert {(o.event.ce_id, o.event.value) for o in (first, again, later)} == {(first.event.ce_id, first.event.value)}
    assert [v["revision"] for v in values([first, other, later])] == [2, 2, 2]


async def test_an_engine_that_asks_again_by_a_later_clock_gets_the_same_answer(pool: Pool) -> None:
    await meet(pool)
    [first, again] = await apply(pool, start("r", 1), step("r", 2), step("r", 3))
    [later, other] = await apply(pool, step("r", 9), step("r", 9, step_id="2"))

    assert {(o.event.ce_id, o.event.value, o.event.time) for o in (again, later)} == {
        (first.event.ce_id, first.event.value, at(2))
    }
    assert [v["at"] for v in values([first, other])] == ["2026-03-10T00:02:00Z", "2026-03-10T00:09:00Z"]


async def test_in_another_state_of_the_run_a_step_gets_another_answer(pool: Pool) -> None:
    await meet(pool)
    [first] = await apply(pool, start("r", 1), step("r", 2))
    [finished, after, again] = await apply(pool, finish("r", 5), step("r", 2), step("r", 6), step("r", 7))

    assert controls([first, finished, after]) == [
        *[("r", "step_granted", None)] * 2,
        ("r", "run_refused", "run_finished"),
    ]
    assert [v["revision"] for v in values([first, finished, after])] == [2, 3, 3]
    assert len({o.event.ce_id for o in (first, finished, after)}) == 3
    assert (again.event.ce_id, again.event.value) == (after.event.ce_id, after.event.value)


async def test_a_step_of_an_unknown_run_is_answered_alike_however_often_it_is_asked_for(pool: Pool) -> None:
    [first, again] = await apply(pool, step("r", 2), step("r", 2))
    [moved] = await apply(pool, step("r", 3))

    assert (first.event.ce_id, first.event.value) == (again.event.ce_id, again.event.value)
    assert moved.event.ce_id != first.event.ce_id


async def test_a_start_that_is_refused_is_the_first_state_of_its_run(pool: Pool) -> None:
    [refused] = await apply(pool, start("r", 1))
    [again] = await apply(pool, start("r", 1))

    assert [v["revision"] for v in values([refused])] == [2]
    assert (again.event.ce_id, again.event.value) == (refused.event.ce_id, refused.event.value)


async def test_a_run_is_found_by_its_contact_s_address_however_it_is_written(pool: Pool) -> None:
    contact = await meet(pool)
    address = {"channel": "whatsapp", "address": "whatsapp:+49 151 1234-5678"}
    await apply(pool, start("r", 1, identity=address), start("s", 1, contact_id=str(contact[1])))
    found = "SELECT DISTINCT contact_id FROM sluice.workflow_runs"
    assert await rows(pool, found) == [(contact[1],)]


async def test_an_unknown_contact_is_refused_and_not_made(pool: Pool) -> None:
    outputs = await apply(pool, start("r", 1), start("s", 1, contact_id=str(uuid_of("nobody"))))
    assert controls(outputs) == [("r", "run_refused", "unknown_contact"), ("s", "run_refused", "unknown_contact")]
    assert await rows(pool, "SELECT 1 FROM contact_overview") == []
    assert await rows(pool, "SELECT DISTINCT contact_id, state FROM sluice.workflow_runs") == [(None, "refused")]


async def test_a_step_or_a_finish_before_the_start_leaves_nothing(pool: Pool) -> None:
    await meet(pool)
    outputs = await apply(pool, step("r", 1), step("r", 1, step_id="2"), finish("r", 2), start("r", 3), step("r", 4))
    assert controls(outputs) == [
        ("r", "run_refused", "unknown_run"),
        ("r", "run_refused", "unknown_run"),
        ("r", "step_granted", None),
    ]
    assert len({o.event.ce_id for o in outputs}) == 3
    assert [v["revision"] for v in values(outputs)] == [1, 1, 2]
    assert await rows(pool, RUNS) == [("r", "automatic", "running", None)]


async def test_a_shortcut_on_a_blocked_contact_ends_with_its_children_at_its_first_message(pool: Pool) -> None:
    contact = await meet(pool)
    await block(pool, contact, (10, None))
    outputs = await apply(
        pool,
        start("auto", 11),
        start("r", 11, "shortcut"),
        start("child", 12, "automatic", parent_run_id="r"),
        step("child", 13, "comment"),
    )
    assert controls(outputs) == [("auto", "run_refused", "contact_blocked"), ("child", "step_granted", None)]

    outputs = await apply(pool, start("grandchild", 13, parent_run_id="child"), step("r", 14, "close_conversation"))
    assert sorted(controls(outputs)) == [
        (name, "run_halted", "blocked_contact_step") for name in ("child", "grandchild", "r")
    ]
    assert {v["run_id"]: v["step_id"] for v in values(outputs)} == {"r": "1", "child": None, "grandchild": None}
    later = await apply(pool, start("later", 15, parent_run_id="grandchild"))
    assert controls(later) == [("later", "run_refused", "blocked_contact_step")]
    assert {row[1] for row in await rows(pool, RUNS) if row[0] != "auto"} == {"shortcut"}


async def test_a_child_that_came_before_its_parent_is_judged_with_it_afterwards(pool: Pool) -> None:
    contact = await meet(pool)
    await block(pool, contact, (10, None))
    assert await apply(pool, start("child", 12, "shortcut", parent_run_id="r")) == []
    outputs = await apply(pool, start("r", 11, "automatic"))
    assert sorted(controls(outputs)) == [(name, "run_refused", "contact_blocked") for name in ("child", "r")]


async def test_the_first_start_of_an_id_stays(pool: Pool) -> None:
    await meet(pool)
    assert await apply(pool, start("r", 1, "shortcut"), start("r", 2), start("r", 0)) == []
    assert await rows(pool, RUNS) == [("r", "shortcut", "running", None)]
    [refused] = await apply(pool, start("s", 1, contact_id=str(uuid_of("nobody"))))
    [again] = await apply(pool, start("s", 1))
    assert (again.event.ce_id, again.event.value) == (refused.event.ce_id, refused.event.value)


async def test_a_time_ahead_of_kafka_is_kafka_s(pool: Pool) -> None:
    contact = await meet(pool)
    early = start("r", 60)
    await apply(pool, Record(early.source, early.offset, at(1), None, early.value))
    assert controls((await block(pool, contact, (10, None)))[1]) == [("r", "run_halted", "contact_blocked")]


async def test_a_poll_costs_a_handful_of_statements_however_many_events(pool: Pool) -> None:
    await meet(pool)
    async with pool.acquire() as tx, tx.transaction():
        small = await _statements(tx, [start("r", 1), step("r", 2)])
        large = await _statements(tx, [e for i in range(1_000) for e in (start(f"s{i}", 1), step(f"s{i}", 2))])
    assert large <= small + 1  # one that could not be needed before any run was known


async def _statements(tx: Any, events: Sequence[Record[Any]]) -> int:
    seen: list[str] = []
    with tx.query_logger(lambda query: seen.append(query.query)):
        await worker.apply(tx, batch(*events))
    return len(seen)
