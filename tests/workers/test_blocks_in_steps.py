"""A block that is too much for one transaction: what is shown and counted while its steps are still to come."""

from typing import Any
from uuid import UUID

import pytest
from asyncpg import Pool

from tests.support.databases import Databases
from tests.workers.asking import ask, give, results, said
from tests.workers.ingesting import SHOWN, ingest
from tests.workers.records import at, message, uuid_of
from tests.workers.runs import RUNS, apply, meet, rows, start, step, values
from tests.workers.stepping import at_most, steps
from workers.store.pool import pool_of

STORED = "SELECT count(*) FROM messages WHERE drop_reason IS NULL"
LEDGER = "SELECT count(*) FROM drop_ledger"


async def test_what_a_block_drops_in_steps_is_hidden_at_once(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    at_most(monkeypatch, 3)
    _, contact = await meet(pool, text="before", minutes=1)
    await ingest(pool, *(message(minutes=10 + n, text="covered") for n in range(10)))
    await ingest(pool, message(minutes=12, text="+1", kind="reaction"), message(minutes=30, text="after"))
    await pool.execute("UPDATE contacts SET profile_id = 'p'")
    [blocked] = await results(pool, ask("block_contact", minutes=10, contact_id=contact, timestamp=at(40)))
    assert blocked["messages_revised"] == 12
    assert (await rows(pool, STORED), await rows(pool, LEDGER)) == ([(10,)], [(3,)])
    assert await rows(pool, SHOWN) == [("before",)]
    assert await rows(pool, "SELECT count(*) FROM profile_moments") == [(1,)]

    [unblocked] = await results(pool, ask("unblock_contact", minutes=25, contact_id=contact, timestamp=at(40)))
    assert [text for (text,) in await rows(pool, SHOWN)] == ["before", "after"]
    await steps(pool, 100)
    assert [text for (text,) in await rows(pool, SHOWN)] == ["before", "after"]
    assert await rows(pool, LEDGER) == [(11,)]
    assert unblocked["messages_revised"] <= 1


@pytest.mark.parametrize("rows_at_once", [1_000, 3])
@pytest.mark.parametrize("done", [0, 1, 2])
async def test_an_earlier_block_does_not_count_what_a_later_one_drops_in_steps(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, done: int, rows_at_once: int
) -> None:
    at_most(monkeypatch, rows_at_once)
    _, contact = await meet(pool, minutes=1)
    await ingest(pool, *(message(minutes=10 + n) for n in range(20)), message(minutes=15, text="+1", kind="reaction"))
    await ingest(pool, message(minutes=16, kind="echo"))
    given: dict[str, Any] = {"contact_id": contact, "timestamp": at(40)}
    [later] = await results(pool, ask("block_contact", minutes=20, **given))
    await steps(pool, done)
    [earlier] = await results(pool, ask("block_contact", minutes=12, **given))
    [unblocked] = await results(pool, ask("unblock_contact", minutes=14, **given))
    [again] = await results(pool, ask("unblock_contact", minutes=25, **given))
    await steps(pool, 100)
    counts = [each["messages_revised"] for each in (later, earlier, unblocked, again)]
    assert counts == [10, 9, 7, 5]
    assert await rows(pool, LEDGER) == [(7,)]


async def test_what_a_block_of_long_ago_drops_in_steps_is_hidden_at_once(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the contact's row does not hold the block any more."""
    at_most(monkeypatch, 3)
    _, contact = await meet(pool, minutes=1000)
    for n in range(20):
        given: dict[str, Any] = {"contact_id": contact, "timestamp": at(1000)}
        await results(pool, ask("block_contact", minutes=100 + 10 * n, **given))
        await results(pool, ask("unblock_contact", minutes=101 + 10 * n, **given))
    await ingest(pool, *(message(minutes=50 + n, text="covered") for n in range(10)))
    await results(pool, ask("unblock_contact", minutes=60, contact_id=contact, timestamp=at(1000)))
    await results(pool, ask("block_contact", minutes=50, contact_id=contact, timestamp=at(1000)))
    assert await rows(pool, LEDGER) == [(3,)]
    assert await rows(pool, SHOWN) == [("hello",)]
    assert await rows(pool, page_of(contact)) == [("hello",)]


def page_of(contact: UUID) -> str:
    return f"SELECT content ->> 'text' FROM sluice.conversation_page('acme', '{contact}', NULL, NULL, 50)"  # noqa: S608


async def test_children_show_their_roots_trigger_before_the_step_that_says_so(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_most(monkeypatch, 3)
    await meet(pool)
    await apply(pool, *(start(f"child {n}", 2, parent_run_id="top") for n in range(8)))
    await apply(pool, start("grandchild", 3, parent_run_id="child 7"))
    await apply(pool, start("top", 1, "shortcut"))
    assert {row[1] for row in await rows(pool, "SELECT run_id, trigger FROM workflow_runs")} == {
        "automatic",
        "shortcut",
    }
    assert {row[1] for row in await rows(pool, RUNS)} == {"shortcut"}
    await steps(pool, 100)
    assert {row[1] for row in await rows(pool, "SELECT run_id, trigger FROM workflow_runs")} == {"shortcut"}


@pytest.mark.parametrize("done", [0, 1, 3])
async def test_an_unblock_leaves_the_halting_of_a_block_that_is_under_way_to_that_block(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    at_most(monkeypatch, 3)
    _, contact = await meet(pool)
    await apply(pool, *(start(f"r{n}", 1) for n in range(10)))
    [blocked] = await results(pool, ask("block_contact", minutes=10, contact_id=contact))
    assert blocked["runs_halted"] == 10
    facts = await steps(pool, done)
    [unblocked] = await results(pool, ask("unblock_contact", minutes=20, contact_id=contact))
    assert unblocked.get("runs_halted", 0) == 0
    await apply(pool, start("later", 30))
    facts += await steps(pool, 100)
    assert {row[2:] for row in await rows(pool, RUNS) if row[0] != "later"} == {("halted", "contact_blocked")}
    assert [row[2:] for row in await rows(pool, RUNS) if row[0] == "later"] == [("running", None)]


@pytest.mark.parametrize("done", [0, 1, 2, 3, 4])
async def test_a_block_and_an_unblock_halt_the_same_at_once_and_in_steps(
    databases: Databases, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    """Both come late: to runs that started after the unblock, and to a step after it that the block alone halts."""

    async def outcome() -> list[Any]:
        async with databases.migrated() as url, pool_of(url, name="test") as pool:
            _, contact = await meet(pool)
            await apply(pool, *(start(f"r{n}", 1) for n in range(6)), *(start(f"z{n}", 25) for n in range(6)))
            await apply(pool, start("shortcut", 12, "shortcut"), step("shortcut", 25, "send_message"))
            given: dict[str, Any] = {"contact_id": contact, "timestamp": at(40)}
            blocked = await give(pool, ask("block_contact", minutes=10, command_id=uuid_of("block"), **given))
            facts = [output.event for output in blocked] + await steps(pool, done)
            unblocked = await give(pool, ask("unblock_contact", minutes=20, command_id=uuid_of("unblock"), **given))
            facts += [output.event for output in unblocked]
            facts += [
                output.event for output in await apply(pool, start("new", 42), start("new shortcut", 19, "shortcut"))
            ]
            facts += await steps(pool, 100)
            told = sorted((fact.topic, fact.ce_id) for fact in facts)
            return [said(blocked), said(unblocked), told, await rows(pool, RUNS)]

    at_once = await outcome()
    assert at_once[:2] == [
        [{"runs_halted": 7, "holds_cancelled": 0, "messages_revised": 0}],
        [{"runs_halted": 0, "holds_cancelled": 0, "messages_revised": 0}],
    ]
    at_most(monkeypatch, 3)
    assert await outcome() == at_once


@pytest.mark.parametrize("done", [0, 1, 2, 3, 4])
async def test_a_step_asked_for_before_the_block_has_reached_its_run_is_answered_as_after(
    databases: Databases, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    """Also where the contact was unblocked meanwhile, and the history alone would let the run go on."""

    async def outcome() -> list[Any]:
        async with databases.migrated() as url, pool_of(url, name="test") as pool:
            _, contact = await meet(pool)
            await apply(pool, *(start(f"r{n}", 1) for n in range(6)), *(start(f"z{n}", 25) for n in range(6)))
            given: dict[str, Any] = {"contact_id": contact, "timestamp": at(40)}
            await give(pool, ask("block_contact", minutes=10, command_id=uuid_of("block"), **given))
            await give(pool, ask("unblock_contact", minutes=20, command_id=uuid_of("unblock"), **given))
            await steps(pool, done)
            await apply(pool, start("new", 41))
            asked = [step(run, 45) for run in ("r0", "r5", "z0", "z2", "z5", "new")]
            answers = values(await apply(pool, *asked, *(step(run, 46, step_id="2") for run in ("z2", "new"))))
            await steps(pool, 100)
            return [answers, await rows(pool, RUNS), await rows(pool, TOLD)]

    at_once = await outcome()
    assert [(each["run_id"], each["control"]) for each in at_once[0][:6]] == [
        ("r0", "run_halted"), ("r5", "run_halted"), ("z0", "run_refused"), ("z2", "run_refused"),
        ("z5", "run_refused"), ("new", "step_granted"),
    ]  # fmt: skip
    at_most(monkeypatch, 3)
    in_steps = await outcome()
    assert in_steps[1:] == at_once[1:]
    assert _last(in_steps[0]) == _last(at_once[0])


TOLD = "SELECT run_id, published, published_reason, published_at, published_revision FROM workflow_runs ORDER BY run_id"


def _last(answers: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The last answer to each run: an end that comes to it just now is told first."""
    return {each["run_id"]: each | {"contact_id": None} for each in answers}


@pytest.mark.parametrize("rows_at_once", [1_000, 3])
async def test_a_run_that_ends_with_its_contact_and_with_its_parent_is_counted_once(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, rows_at_once: int
) -> None:
    at_most(monkeypatch, rows_at_once)
    _, contact = await meet(pool)
    _, other = await meet(pool, "+4915187654321")
    below: dict[str, Any] = {"parent_run_id": "b"}
    await apply(pool, start("b", 1), *(start(f"child {n}", 2, **below) for n in range(6)))
    await apply(pool, *(start(f"a{n}", 3, parent_run_id="child 1") for n in range(6)))
    await apply(pool, *(start(f"theirs {n}", 4, contact_id=str(other), parent_run_id=f"a{n}") for n in range(6)))
    await apply(pool, start("under theirs", 5, parent_run_id="theirs 3"))
    [blocked] = await results(pool, ask("block_contact", minutes=10, contact_id=contact))
    assert blocked["runs_halted"] == 20
    await steps(pool, 100)
    assert {row[2:] for row in await rows(pool, RUNS)} == {("halted", "contact_blocked")}


@pytest.mark.parametrize("rows_at_once", [1_000, 3])
async def test_runs_whose_parents_form_a_circle_are_counted_as_others(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, rows_at_once: int
) -> None:
    at_most(monkeypatch, rows_at_once)
    _, contact = await meet(pool)
    _, other = await meet(pool, "+4915187654321")
    await apply(pool, *(start(f"r{n}", 1, parent_run_id=f"r{(n + 1) % 4}") for n in range(4)))
    await apply(pool, start("itself", 1, parent_run_id="itself"))
    await apply(pool, *(start(f"theirs {n}", 2, contact_id=str(other), parent_run_id=f"r{n}") for n in range(3)))
    [blocked] = await results(pool, ask("block_contact", minutes=10, contact_id=contact))
    assert blocked["runs_halted"] == 8
    await steps(pool, 100)
    assert {row[2:] for row in await rows(pool, RUNS)} == {("halted", "contact_blocked")}


async def test_who_may_only_read_sees_the_same(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    at_most(monkeypatch, 3)
    _, contact = await meet(pool, minutes=1000)
    given: dict[str, Any] = {"contact_id": contact, "timestamp": at(1000)}
    for n in range(20):
        await results(pool, ask("block_contact", minutes=100 + 10 * n, **given))
        await results(pool, ask("unblock_contact", minutes=101 + 10 * n, **given))
    await ingest(pool, *(message(minutes=50 + n, text="covered") for n in range(10)))
    await apply(pool, *(start(f"r{n}", 55) for n in range(10)))
    await results(pool, ask("unblock_contact", minutes=60, **given), ask("block_contact", minutes=50, **given))
    await results(pool, ask("block_contact", minutes=990, **given))
    runs = "SELECT run_id, state, reason FROM sluice.workflow_runs ORDER BY run_id"
    queries = (SHOWN, runs, page_of(contact))
    shown = [await rows(pool, query) for query in queries]
    assert shown[2] == shown[0]
    async with pool.acquire() as tx, tx.transaction():
        await tx.execute("SET LOCAL ROLE sluice_reader; SET LOCAL search_path = sluice")
        assert [[tuple(row) for row in await tx.fetch(query)] for query in queries] == shown
