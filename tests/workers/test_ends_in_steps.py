"""A contact that goes away with very many runs or holds: they have their end at once, and steps publish it."""

from typing import Any
from uuid import UUID

import pytest
from asyncpg import Pool

from tests.workers.asking import ask, contact_of, give, results, rows
from tests.workers.ingesting import ingest
from tests.workers.records import at, batch, message
from tests.workers.runs import apply, controls, finish, start, step
from tests.workers.sending import request
from tests.workers.stepping import at_most, steps
from workers.sends import worker as outbound

ANA, BOB = "+4915112345678", "+4915187654321"
STATES = "SELECT state, reason, count(*) FROM sluice.workflow_runs GROUP BY 1, 2 ORDER BY 1, 2"
STORED = "SELECT count(*) FROM sluice_core.workflow_runs WHERE state = 'halted'"
LEFT = "SELECT kind, done, total FROM sluice.pending_work"


async def with_runs(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> tuple[UUID, UUID]:
    """Two contacts; the first one has seven runs, one of which is finished. A transaction halts three."""
    await ingest(pool, message(ANA), message(BOB))
    ana, bob = await contact_of(pool, ANA), await contact_of(pool, BOB)
    await apply(pool, *(start(f"r{n}", 1, contact_id=str(ana)) for n in range(7)), finish("r6", 2))
    at_most(monkeypatch, 3)
    return ana, bob


def going(ana: UUID, bob: UUID, way: str) -> dict[str, Any]:
    if way == "merged":
        return {"command": "merge_contacts", "survivor_id": str(bob), "loser_id": str(ana)}
    return {"command": "delete_contacts", "contact_ids": [str(ana)], "expected_count": 1}


@pytest.mark.parametrize("way", ["merged", "deleted"])
async def test_all_runs_end_at_once_and_are_published_in_steps(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    ana, bob = await with_runs(pool, monkeypatch)
    [changed] = await results(pool, ask(**going(ana, bob, way), minutes=10))

    assert changed["runs_halted"] == 6
    assert await rows(pool, LEFT) == [("halt runs", 0, 6)]
    reason = f"contact_{way}"
    expected = [("finished", None, 1), ("halted", reason, 6)]
    assert await rows(pool, STATES) == expected
    assert await rows(pool, STORED) == [(0,)]
    asked = await apply(pool, step("r1", 11, "add_tag"), step("r1", 12, "send_message", step_id="2"))
    assert set(controls(asked)) == {("r1", "run_halted", reason)}
    told = [await steps(pool) for _ in range(3)]

    runs = [event.key or b"" for events in told for event in events]
    assert sorted(runs) == [f"acme:r{n}".encode() for n in (0, 2, 3, 4, 5)]
    assert await rows(pool, STATES) == expected
    assert await rows(pool, STORED) == [(6,)]
    assert await rows(pool, LEFT) == []
    again = await apply(pool, step("r1", 13), step("r2", 13))
    assert controls(again) == [("r1", "run_halted", reason), ("r2", "run_halted", reason)]


async def test_an_undo_halts_no_new_run_and_spares_no_old_one(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    ana, bob = await with_runs(pool, monkeypatch)
    merge = ask(**going(ana, bob, "merged"), minutes=10)
    await give(pool, merge)
    await give(pool, ask("undo_merge", minutes=20, merge_id=str(merge.value.command_id)))
    await apply(pool, start("new", 15, contact_id=str(ana)), step("new", 16))
    await steps(pool, 100)

    assert await rows(pool, STATES) == [("finished", None, 1), ("halted", "contact_merged", 6), ("running", None, 1)]


async def test_who_is_merged_and_deleted_meanwhile_was_merged(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    ana, bob = await with_runs(pool, monkeypatch)
    await give(pool, ask(**going(ana, bob, "merged"), minutes=10))
    await give(pool, ask(**going(bob, bob, "deleted"), minutes=20))
    expected = [("finished", None, 1), ("halted", "contact_merged", 6)]
    assert await rows(pool, STATES) == expected
    await steps(pool, 100)
    assert await rows(pool, STATES) == expected
    assert await rows(pool, LEFT) == []


async def test_a_block_of_before_ends_them_earlier(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    ana, bob = await with_runs(pool, monkeypatch)
    await give(pool, ask(**going(ana, bob, "merged"), minutes=10))
    await give(pool, ask("block_contact", minutes=5, contact_id=str(bob), timestamp=at(11)))
    expected = [("finished", None, 1), ("halted", "contact_blocked", 6)]
    assert await rows(pool, STATES) == expected
    await steps(pool, 100)
    assert await rows(pool, STATES) == expected


async def hold(pool: Pool, *names: str, to: str = ANA) -> None:
    async with pool.acquire() as tx, tx.transaction():
        await outbound.apply(tx, batch(*(request(name, to=to, minutes=5) for name in names)))


HELD = "SELECT contact_id, count(*) FROM sluice.held_sends GROUP BY 1"


async def test_holds_follow_a_merge_and_its_undo_in_steps(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    await ingest(pool, message(ANA), message(BOB))
    ana, bob = await contact_of(pool, ANA), await contact_of(pool, BOB)
    await give(pool, ask("define_status", name="vip", protected=True), ask("create_profile", profile_id="p", name="P"))
    await give(pool, ask("set_profile_status", profile_id="p", status="vip"))
    await give(pool, *(ask("attach_contact", contact_id=str(one), profile_id="p") for one in (ana, bob)))
    await hold(pool, *(f"s{n}" for n in range(8)))
    await hold(pool, "b", to=BOB)
    at_most(monkeypatch, 3)
    merge = ask("merge_contacts", minutes=10, survivor_id=str(bob), loser_id=str(ana))
    await give(pool, merge)

    assert await rows(pool, LEFT) == [("move holds", 3, 8)]
    assert sorted(await rows(pool, HELD)) == sorted([(ana, 5), (bob, 4)])
    await steps(pool)
    assert sorted(await rows(pool, HELD)) == sorted([(ana, 2), (bob, 7)])
    await steps(pool, 9)
    assert (await rows(pool, LEFT), await rows(pool, HELD)) == ([], [(bob, 9)])

    await give(pool, ask("undo_merge", minutes=20, merge_id=str(merge.value.command_id)))
    await steps(pool, 9)
    assert (await rows(pool, LEFT), sorted(await rows(pool, HELD))) == ([], sorted([(ana, 8), (bob, 1)]))


@pytest.mark.parametrize("undone_after", [0, 1])
async def test_a_merge_is_undone_or_its_contact_blocked_before_all_holds_have_followed(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, undone_after: int
) -> None:
    await ingest(pool, message(ANA), message(BOB))
    ana, bob = await contact_of(pool, ANA), await contact_of(pool, BOB)
    await give(pool, ask("define_status", name="vip", protected=True), ask("create_profile", profile_id="p", name="P"))
    await give(pool, ask("set_profile_status", profile_id="p", status="vip"))
    await give(pool, ask("attach_contact", contact_id=str(ana), profile_id="p"))
    await hold(pool, *(f"s{n}" for n in range(8)))
    at_most(monkeypatch, 3)
    merge = ask("merge_contacts", minutes=10, survivor_id=str(bob), loser_id=str(ana))
    await give(pool, merge)
    await steps(pool, undone_after)
    if undone_after:
        await give(pool, ask("undo_merge", minutes=20, merge_id=str(merge.value.command_id)))
        await steps(pool, 9)
        assert await rows(pool, HELD) == [(ana, 8)]
    else:
        await give(pool, ask("block_contact", minutes=20, contact_id=str(bob)))
        assert await rows(pool, HELD) == []
        await steps(pool, 99)
        assert await rows(pool, "SELECT DISTINCT status FROM sluice.sends") == [("cancelled",)]
    assert await rows(pool, LEFT) == []
