"""Answers to more holds than one transaction can end: in effect at once, run in steps, and still the first answer
wins.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from asyncpg import Pool

from schemas.settings_commands import ConfirmSend
from tests.support.databases import until
from tests.workers.records import WORKSPACE, at, batch, message, uuid_of
from tests.workers.sending import (
    ORIGIN,
    PHONE,
    answer,
    answer_in,
    block,
    configure,
    confirm,
    join_company,
    protect,
    receipt,
    reject,
    request,
    rows,
    run,
    send,
    standing,
    transact,
    values,
    wrote,
)
from tests.workers.stepping import at_most, steps
from workers.app.pending_work import FairTurns
from workers.messages import worker as inbound
from workers.records import Event, Output
from workers.sends import cancelling, hold_answers, jobs
from workers.sends.hold_answers import Answer
from workers.store import holds

MANY = 10
NAMES = [f"s{n}" for n in range(MANY)]
LATE = at(60 * 24 * 3 + 11)  # the holds have expired


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction ends four holds: ten are too many."""
    at_most(monkeypatch, 4)


async def group(pool: Pool, names: Iterable[str] = NAMES, **fields: Any) -> UUID:
    """A protected contact with a group of holds."""
    contact_id = await wrote(pool)
    await protect(pool, contact_id)
    await send(pool, *(request(name, group_id="g", **fields) for name in names))
    return contact_id


async def clock(pool: Pool) -> datetime:
    """As steps read it."""
    now: datetime = (await rows(pool, "SELECT clock_timestamp()"))[0][0]
    return now


async def shown(pool: Pool) -> set[UUID]:
    return {send_id for (send_id,) in await rows(pool, "SELECT send_id FROM sluice.held_sends")}


async def shown_as(pool: Pool) -> Counter[tuple[str, str | None]]:
    return Counter((row[0], row[1]) for row in await rows(pool, "SELECT status, reason FROM sluice.sends"))


def told(facts: Iterable[Event], topic: str = "sends.status") -> list[dict[str, Any]]:
    return [msgspec.json.decode(fact.value or b"") for fact in facts if fact.topic == topic]


async def test_a_group_is_confirmed_at_once_and_its_sends_go_in_steps(pool: Pool) -> None:
    await group(pool)
    [result], outputs = await answer(pool, confirm(group="g"))

    assert (result.changed, outputs) == ({"released": MANY}, [])
    assert await shown(pool) == set()
    assert await rows(pool, "SELECT kind, subject, done, total FROM sluice.pending_work") == [
        ("confirm holds", "g", 0, MANY)
    ]

    first = await steps(pool)
    assert len(told(first, "sends.dispatch")) == 4
    assert await rows(pool, "SELECT done, total FROM sluice.pending_work") == [(4, MANY)]

    facts = first + await steps(pool, 100)
    dispatched = told(facts, "sends.dispatch")
    assert {d["send_id"] for d in dispatched} == {str(uuid_of(name)) for name in NAMES}
    assert {(d["attempt"], d["confirmation"]["confirmed_by"]) for d in dispatched} == {(1, "bob")}
    assert Counter((s["status"], s["revision"], s["actor"]) for s in told(facts)) == {
        ("released", 2, "bob"): MANY,
        ("dispatched", 3, "bob"): MANY,
    }
    assert await rows(pool, "SELECT count(*) FROM pending_work") == [(0,)]


async def test_a_group_is_rejected_at_once(pool: Pool) -> None:
    await group(pool)
    [result], outputs = await answer(pool, reject(group="g"))
    assert (result.changed, outputs, await shown(pool)) == ({"rejected": MANY}, [], set())
    assert Counter(s["status"] for s in told(await steps(pool, 100))) == {"rejected": MANY}


async def test_facts_are_the_same_whether_they_come_at_once_or_in_steps(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await group(pool)
    monkeypatch.setattr("workers.store.pending_work.ROWS_AT_ONCE", MANY)

    async def undone(tx: Any) -> list[Output]:
        savepoint = tx.transaction()
        await savepoint.start()
        _, outputs = await answer_in(tx, [confirm(group="g")])
        await savepoint.rollback()
        return outputs

    at_once = await transact(pool, undone)
    monkeypatch.setattr("workers.store.pending_work.ROWS_AT_ONCE", 4)
    await answer(pool, confirm(group="g"))
    in_steps = await steps(pool, 100)
    assert {o.event.ce_id for o in at_once} == {fact.ce_id for fact in in_steps}
    assert len(in_steps) == 3 * MANY


@pytest.mark.parametrize(
    ("first", "later", "said"),
    [
        (confirm(group="g"), confirm("s7", by="eve", command="later"), ("done", None)),
        (confirm(group="g"), reject("s7", by="eve", command="later"), ("refused", "already_final")),
        (confirm(group="g"), reject(group="g", by="eve", command="later"), ("done", None)),
        (reject(group="g"), confirm("s7", by="eve", command="later"), ("refused", "already_final")),
        (reject(group="g"), reject("s7", by="eve", command="later"), ("refused", "already_final")),
        (reject(group="g"), confirm(group="g", by="eve", command="later"), ("done", None)),
    ],
)
@pytest.mark.parametrize("together", [False, True])
async def test_the_first_answer_wins_before_its_step_came(
    pool: Pool,
    first: Answer,
    later: Answer,
    said: tuple[str, str | None],
    together: bool,  # noqa: FBT001
) -> None:
    await group(pool)
    if together:
        [_, result], outputs = await answer(pool, first, later)
    else:
        _, earlier = await answer(pool, first)
        [result], outputs = await answer(pool, later)
        assert earlier == []
    assert (result.outcome, result.reason, result.changed) == (*said, {})
    facts = [o.event for o in outputs] + await steps(pool, 100)
    assert {s["actor"] for s in told(facts)} == {"bob"}
    final = "released" if isinstance(first.command, ConfirmSend) else "rejected"
    assert Counter(s["status"] for s in told(facts))[final] == MANY
    assert len({fact.ce_id for fact in facts}) == len(facts)


async def test_a_send_that_was_answered_before_its_group_is_none_of_the_groups_business(pool: Pool) -> None:
    await group(pool)
    [one, whole], _ = await answer(pool, reject("s3"), confirm(group="g"))
    assert (one.changed, whole.changed) == ({"rejected": 1}, {"released": MANY - 1})
    assert Counter(s["status"] for s in told(await steps(pool, 100)))["released"] == MANY - 1
    assert (await standing(pool, "s3"))[0] == "rejected"


async def test_each_send_is_judged_again_when_its_step_comes(pool: Pool) -> None:
    contact_id = await group(pool)
    [result], _ = await answer(pool, confirm(group="g"))
    await steps(pool)
    assert values(await block(pool, contact_id, 40), "sends.status") == []  # they are no holds any more
    facts = await steps(pool, 100)
    assert (result.changed, await shown_as(pool)) == (
        {"released": MANY},
        {("dispatched", None): 4, ("refused", "contact_blocked"): MANY - 4},
    )
    assert {s["actor"] for s in told(facts)} == {"bob"}


async def test_a_new_reason_holds_once_more_until_somebody_has_been_shown_it(pool: Pool) -> None:
    contact_id = await group(pool)
    await answer(pool, confirm(group="g"))
    await join_company(pool, contact_id, "bolt")
    [early], _ = await answer(pool, confirm("s9", command="early"), now=await clock(pool))
    assert early.changed == {"held": 1}
    await steps(pool, 100)
    assert len(await shown(pool)) == MANY
    [second], _ = await answer(pool, confirm(group="g", command="second"), now=await clock(pool))
    assert second.changed == {"released": MANY}
    await steps(pool, 100)
    assert await shown_as(pool) == {("dispatched", None): MANY}


async def test_what_it_comes_to_is_foreseen_of_each(pool: Pool) -> None:
    await group(pool)
    other, third = await wrote(pool, "+4915100000001"), await wrote(pool, "+4915100000002")
    await protect(pool, other)
    await protect(pool, third)
    await send(pool, *(request(f"o{n}", group_id="g", to=other) for n in range(3)))
    await send(pool, *(request(f"t{n}", group_id="g", to=third) for n in range(2)))
    await rows(pool, "UPDATE identities SET opted_out = true WHERE contact_id = $1 RETURNING 1", other)
    await join_company(pool, third, "bolt")
    [result], _ = await answer(pool, confirm(group="g"))
    assert result.changed == {"released": MANY, "refused": 3, "held": 2}
    facts = await steps(pool, 100)
    assert Counter(s["status"] for s in told(facts)) == {
        "released": MANY, "dispatched": MANY, "refused": 3, "held": 2,
    }  # fmt: skip


async def test_what_is_held_after_the_answer_waits_for_another(pool: Pool) -> None:
    await group(pool)
    await answer(pool, confirm(group="g"))
    await send(pool, request("new", group_id="g"), now=at(31))
    assert await shown(pool) == {uuid_of("new")}
    await steps(pool, 100)
    assert await shown(pool) == {uuid_of("new")}


async def test_with_two_persons_ones_own_requests_stay_held_and_shown(pool: Pool) -> None:
    await configure(pool, two_person_confirm=True)
    await group(pool)
    own = [f"own{n}" for n in range(5)]
    await send(pool, *(request(n, group_id="g", requested_by={"id": "bob", "role": "agent"}) for n in own))
    [mine], _ = await answer(pool, confirm(group="g", by="bob"))
    assert (mine.changed, await shown(pool)) == ({"released": MANY, "held": 5}, {uuid_of(n) for n in own})
    [others], _ = await answer(pool, reject(group="g", by="ann", command="y2"))
    assert (others.changed, await shown(pool)) == ({"rejected": 5}, set())
    facts = await steps(pool, 100)
    assert Counter((s["status"], s["actor"]) for s in told(facts)) == {
        ("released", "bob"): MANY, ("dispatched", "bob"): MANY, ("rejected", "ann"): 5,
    }  # fmt: skip


async def test_an_answered_hold_does_not_expire_and_one_that_had_expired_is_not_answered(pool: Pool) -> None:
    await group(pool)
    await send(pool, request("old", group_id="g", minutes=1))
    await rows(pool, "UPDATE sends SET expires_at = $1 WHERE send_id = $2 RETURNING 1", at(20), uuid_of("old"))
    [result], _ = await answer(pool, confirm(group="g"))
    assert result.changed == {"released": MANY}
    outputs = await transact(pool, lambda tx: jobs.expire(tx, LATE))
    assert [v["send_id"] for v in values(outputs, "sends.status")] == [str(uuid_of("old"))]
    await steps(pool, 100)
    assert await shown_as(pool) == {("dispatched", None): MANY, ("expired", None): 1}


async def test_a_receipt_of_an_earlier_attempt_beats_the_answer(pool: Pool) -> None:
    await group(pool)
    await answer(pool, confirm("s0"))
    await rows(pool, "UPDATE sends SET status = 'held', held_at = $1, expires_at = $2 RETURNING 1", at(15), LATE)
    await answer(pool, confirm(group="g", command="y2"))
    await send(pool, receipt("delivered", attempt=1, name="s0"))
    await steps(pool, 100)
    assert await standing(pool, "s0") == ("delivered", None, 1)


@pytest.mark.parametrize("killed", range(5))
@pytest.mark.parametrize("given", [confirm(group="g"), reject(group="g")])
async def test_a_kill_between_any_two_steps_loses_nothing_and_repeats_nothing(
    pool: Pool, killed: int, given: Answer
) -> None:
    await group(pool)
    await answer(pool, given)
    facts = await steps(pool, killed)
    turns = FairTurns()
    async with pool.acquire() as tx:
        for last in (False, True):
            transaction = tx.transaction()
            await transaction.start()
            await turns.run(tx, at(31))
            await (transaction.rollback() if last else transaction.commit())
    facts += await steps(pool, 100)
    final = "released" if isinstance(given.command, ConfirmSend) else "rejected"
    assert Counter(s["send_id"] for s in told(facts) if s["status"] == final) == {
        str(uuid_of(name)): 1 for name in NAMES
    }


async def test_a_step_never_waits_for_messages_nor_they_for_it(pool: Pool) -> None:
    await group(pool)
    await answer(pool, confirm(group="g"))
    turns = FairTurns()
    await transact(pool, lambda tx: turns.run(tx, at(31)))
    async with pool.acquire() as tx, tx.transaction():
        await turns.run(tx, at(31))
        others = (message(PHONE, minutes=31), message("+4915100000009", workspace_id="globex", minutes=31))
        outputs = await asyncio.wait_for(
            transact(pool, lambda other: inbound.apply(other, batch(*others, now=at(31)))), 2
        )
    assert [o.event.topic for o in outputs] == ["messages.accepted"] * 2


async def test_answers_of_one_group_come_one_after_the_other(pool: Pool) -> None:
    await group(pool)
    async with pool.acquire() as tx, tx.transaction():
        [first], _ = await answer_in(tx, [confirm(group="g")])
        other = asyncio.create_task(answer(pool, reject(group="g")))
        await until(
            pool, "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)", timeout_s=9
        )
    [second], _ = await other
    assert (first.changed, second.changed) == ({"released": MANY}, {})


async def test_the_answers_of_one_batch_end_no_more_than_a_transaction_can(pool: Pool) -> None:
    await group(pool, NAMES[:3])
    await send(pool, *(request(f"h{n}", group_id="h") for n in range(3)))
    results, outputs = await answer(pool, confirm(group="g"), reject(group="h"))
    assert [r.changed for r in results] == [{"released": 3}, {"rejected": 3}]
    assert Counter(v["status"] for v in values(outputs, "sends.status")) == {"released": 3, "dispatched": 3}
    await steps(pool, 100)
    assert await shown_as(pool) == {("dispatched", None): 3, ("rejected", None): 3}


async def test_a_group_with_much_to_say_goes_in_small_steps(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hold_answers, "CONTENT", 100)
    monkeypatch.setattr(holds, "STEP_BYTES", 100)
    await group(pool, NAMES[:3], content={"type": "text", "text": "x" * 200})
    [result], outputs = await answer(pool, confirm(group="g"))
    assert (result.changed, outputs) == ({"released": 3}, [])
    assert [len(told(await steps(pool), "sends.dispatch")) for _ in range(3)] == [1, 1, 1]
    assert await steps(pool, 100) == []


# --- blocks and halted runs


async def test_a_block_cancels_at_once_and_for_good_and_leaves_traces_in_steps(pool: Pool) -> None:
    contact_id = await group(pool)
    other = await wrote(pool, "+4915100000000")
    await rows(pool, "UPDATE contacts SET phone = $1 WHERE contact_id = $2 RETURNING 1", PHONE, other)
    await rows(pool, "DELETE FROM identities WHERE contact_id = $1 RETURNING 1", other)
    await protect(pool, other)
    await send(pool, *(request(f"o{n}", to=other) for n in range(3)))

    assert values(await block(pool, contact_id, 20), "sends.status") == []
    assert await shown(pool) == set()
    results, outputs = await answer(
        pool, confirm("s1"), reject("s2"), confirm("o1", command="y2"), confirm(group="g", command="y3")
    )
    assert [r.reason or r.changed for r in results] == ["already_final", "already_final", "already_final", {}]
    assert {(v["status"], v["reason"]) for v in values(outputs, "sends.status")} == {("cancelled", "contact_blocked")}
    await rows(pool, "UPDATE contacts SET blocks = '{}' RETURNING 1")  # unblocked before a step came
    assert (await transact(pool, lambda tx: jobs.expire(tx, LATE))) == []
    facts = await steps(pool, 100)
    assert {(s["status"], s["reason"], s["actor"]) for s in told(facts)} == {("cancelled", "contact_blocked", "bob")}
    assert await shown_as(pool) == {("cancelled", "contact_blocked"): MANY + 3}


async def test_a_past_block_cancels_in_steps_only_what_was_asked_for_before_its_end(pool: Pool) -> None:
    contact_id = await group(pool, minutes=10)
    await send(pool, *(request(f"late{n}", minutes=20) for n in range(6)))
    await block(pool, contact_id, 5, 15)
    assert await shown(pool) == {uuid_of(f"late{n}") for n in range(6)}
    await steps(pool, 100)
    assert await shown_as(pool) == {("cancelled", "contact_blocked"): MANY, ("held", None): 6}


async def test_a_block_leaves_what_was_confirmed_before_it_to_that_answer(pool: Pool) -> None:
    contact_id = await group(pool)
    await answer(pool, reject(group="g"))
    await block(pool, contact_id, 40)
    await steps(pool, 100)
    assert await shown_as(pool) == {("rejected", None): MANY}


async def test_the_holds_of_a_halted_run_are_refused_at_once(pool: Pool) -> None:
    await run(pool, "r1", state="halted", revision=4)
    await group(pool, run_id="r1", step_id="ask")
    await rows(pool, "UPDATE sends SET status = 'held', held_at = $1, expires_at = $2 RETURNING 1", at(15), LATE)
    outputs = await transact(pool, lambda tx: cancelling.refuse_halted(tx, {(WORKSPACE, "r1"): ORIGIN}, at(30)))
    assert (outputs, await shown(pool)) == ([], set())
    [late], _ = await answer(pool, confirm("s1"))
    assert late.reason == "already_final"
    facts = await steps(pool, 100)
    assert {(s["status"], s["reason"]) for s in told(facts)} == {("refused", "run_halted")}
    assert len(told(facts, "workflows.control")) == MANY - 1
    assert await shown_as(pool) == {("refused", "run_halted"): MANY}
