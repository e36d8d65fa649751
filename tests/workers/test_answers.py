"""Holds: confirmed, rejected, expired, cancelled. The first answer wins."""

import asyncio
from typing import Any

import pytest
from asyncpg import Pool

from tests.workers.records import at
from tests.workers.sending import (
    ORIGIN,
    PERMANENT,
    PHONE,
    TEMPORARY,
    answer,
    answer_in,
    block,
    configure,
    confirm,
    join_company,
    protect,
    receipt,
    reject,
    repeat,
    request,
    rows,
    run,
    send,
    standing,
    statuses,
    transact,
    values,
    wrote,
)
from workers.records import Output
from workers.sends import cancelling, jobs


async def hold(pool: Pool, *names: str, **fields: Any) -> None:
    """A protected contact with these holds."""
    await protect(pool, await wrote(pool))
    await send(pool, *(request(name, **fields) for name in names or ("s1",)))


async def expire(pool: Pool, minutes: float) -> list[Output]:
    outputs: list[Output] = await transact(pool, lambda tx: jobs.expire(tx, at(minutes)))
    return outputs


async def test_a_confirmed_send_is_released_and_dispatched(pool: Pool) -> None:
    await hold(pool)
    [result], outputs = await answer(pool, confirm())

    assert (result.outcome, result.changed) == ("done", {"released": 1})
    told = values(outputs, "sends.status")
    assert [(v["status"], v["revision"], v["actor"]) for v in told] == [
        ("released", 2, "bob"),
        ("dispatched", 3, "bob"),
    ]
    [dispatch] = values(outputs, "sends.dispatch")
    assert (dispatch["attempt"], dispatch["confirmation"]["confirmed_by"]) == (1, "bob")


async def test_confirming_again_changes_nothing_and_rejecting_then_is_too_late(pool: Pool) -> None:
    await hold(pool)
    first, again, late = (await answer(pool, confirm(), confirm(command="y2"), reject()))[0]
    assert [(r.outcome, r.reason, r.changed) for r in (first, again, late)] == [
        ("done", None, {"released": 1}),
        ("done", None, {}),
        ("refused", "already_final", {}),
    ]
    [later], outputs = await answer(pool, confirm(command="y3"))
    assert (later.outcome, later.changed, outputs) == ("done", {}, [])


async def test_a_rejected_send_is_final(pool: Pool) -> None:
    await hold(pool)
    [result], outputs = await answer(pool, reject())
    assert (result.changed, statuses(outputs)) == ({"rejected": 1}, [("rejected", None)])
    [late], outputs = await answer(pool, confirm())
    assert (late.reason, outputs) == ("already_final", [])


async def test_an_unknown_send_or_group_is_not_found(pool: Pool) -> None:
    results, outputs = await answer(pool, confirm("nobody"), reject(group="nothing"))
    assert ([r.reason for r in results], outputs) == (["not_found", "not_found"], [])


async def test_a_new_reason_holds_once_more_and_an_old_one_does_not(pool: Pool) -> None:
    contact_id = await wrote(pool)
    await protect(pool, contact_id)
    await send(pool, request())
    await join_company(pool, contact_id, "bolt")

    [first], outputs = await answer(pool, confirm())
    assert first.changed == {"held": 1}
    assert values(outputs, "sends.status")[0]["reasons"] == ["company_protected"]
    [second], _ = await answer(pool, confirm(command="y2"))
    assert second.changed == {"released": 1}


async def test_one_batch_cannot_confirm_what_it_just_found(pool: Pool) -> None:
    contact_id = await wrote(pool)
    await protect(pool, contact_id)
    await send(pool, request())
    await join_company(pool, contact_id, "bolt")
    results, _ = await answer(pool, confirm(), confirm(command="y2"))
    assert [r.changed for r in results] == [{"held": 1}, {"held": 1}]


async def test_confirming_judges_refusals_again(pool: Pool) -> None:
    await hold(pool)
    await rows(pool, "UPDATE identities SET opted_out = true RETURNING 1")
    [result], outputs = await answer(pool, confirm())
    assert (result.outcome, result.changed) == ("done", {"refused": 1})
    assert statuses(outputs) == [("refused", "opted_out")]


async def test_a_hold_expires_by_the_databases_clock(pool: Pool) -> None:
    await configure(pool, hold_ttl_hours=1)
    await hold(pool)
    assert await expire(pool, 69) == []
    assert statuses(await expire(pool, 70)) == [("expired", None)]
    [late], _ = await answer(pool, confirm(), now=at(71))
    assert late.reason == "already_final"


async def test_an_answer_after_the_end_finds_the_hold_expired_even_if_nobody_swept(pool: Pool) -> None:
    await configure(pool, hold_ttl_hours=1)
    await hold(pool)
    [late], outputs = await answer(pool, confirm(), now=at(70))
    assert (late.reason, statuses(outputs)) == ("already_final", [("expired", None)])
    assert await expire(pool, 70) == []


async def test_a_block_cancels_for_good(pool: Pool) -> None:
    await hold(pool)
    [(contact_id,)] = await rows(pool, "SELECT contact_id FROM contacts")
    [status] = values(await block(pool, contact_id, 20), "sends.status")
    assert (status["status"], status["reason"], status["actor"]) == ("cancelled", "contact_blocked", "bob")
    await block(pool, contact_id, 20, 25, "unblock")
    [late], _ = await answer(pool, confirm())
    assert late.reason == "already_final"


async def test_a_past_block_cancels_only_what_was_asked_for_before_its_end(pool: Pool) -> None:
    contact_id = await wrote(pool)
    await protect(pool, contact_id)
    await send(pool, request("early", minutes=10), request("late", minutes=20))
    await block(pool, contact_id, 5, 15)
    assert (await standing(pool, "early"))[0] == "cancelled"
    assert (await standing(pool, "late"))[0] == "held"


async def test_blocking_the_owner_of_the_address_cancels_as_well(pool: Pool) -> None:
    owner, other = await wrote(pool), await wrote(pool, "+4915100000000")
    await rows(pool, "UPDATE contacts SET phone = $1 WHERE contact_id = $2 RETURNING 1", PHONE, other)
    await rows(pool, "DELETE FROM identities WHERE contact_id = $1 RETURNING 1", other)
    await protect(pool, other)
    await send(pool, request(to=other))
    await block(pool, owner, 20)
    assert (await standing(pool))[:2] == ("cancelled", "contact_blocked")


async def test_a_group_is_answered_as_a_whole_for_what_is_held(pool: Pool) -> None:
    await hold(pool, "s1", "s2", group_id="g")
    await send(pool, request("s3", group_id="g", to="+4915100000000"))
    await answer(pool, reject("s2"))
    [result], _ = await answer(pool, confirm(group="g"))
    assert (result.outcome, result.changed) == ("done", {"released": 1})
    [again], _ = await answer(pool, confirm(group="g", command="y2"))
    assert (again.outcome, again.changed) == ("done", {})


async def test_a_rejected_group(pool: Pool) -> None:
    await hold(pool, "s1", "s2", group_id="g")
    [result], _ = await answer(pool, reject(group="g"))
    assert result.changed == {"rejected": 2}


async def test_with_two_persons_ones_own_requests_stay_held(pool: Pool) -> None:
    await configure(pool, two_person_confirm=True)
    await hold(pool, "s1", group_id="g")
    await send(pool, request("s2", group_id="g", requested_by={"id": "bob", "role": "agent"}))

    [single], _ = await answer(pool, confirm(by="ann"))
    assert (single.outcome, single.reason) == ("refused", "needs_second_person")
    [group], _ = await answer(pool, confirm(group="g", by="ann", command="y2"))
    assert group.changed == {"released": 1, "held": 1}
    assert [(await standing(pool, n))[0] for n in ("s1", "s2")] == ["held", "dispatched"]
    [own], _ = await answer(pool, reject(by="ann"))
    assert own.changed == {"rejected": 1}


@pytest.mark.parametrize(
    ("how", "outcome"), [("confirm", "sent"), ("reject", "rejected"), ("expire", "expired"), ("block", "cancelled")]
)
async def test_a_waiting_step_is_told_how_it_ended(pool: Pool, how: str, outcome: str) -> None:
    await run(pool, "r1", revision=4)
    await hold(pool, run_id="r1", step_id="ask")
    [(contact_id,)] = await rows(pool, "SELECT contact_id FROM contacts")
    match how:
        case "confirm":
            outputs = (await answer(pool, confirm()))[1]
        case "reject":
            outputs = (await answer(pool, reject()))[1]
        case "expire":
            outputs = await expire(pool, 10_000)
        case _:
            outputs = await block(pool, contact_id, 20)
    [control] = values(outputs, "workflows.control")
    assert (control["control"], control["run_id"], control["step_id"]) == ("step_resolved", "r1", "ask")
    assert (control["outcome"], control["revision"]) == (outcome, 4)


async def test_what_becomes_of_a_step_is_no_new_state_of_its_run(pool: Pool) -> None:
    await run(pool, "r1", revision=4)
    await hold(pool, "s1", "s2", run_id="r1", step_id="ask", group_id="g")
    _, outputs = await answer(pool, reject(group="g"))
    assert [v["revision"] for v in values(outputs, "workflows.control")] == [4, 4]


async def test_holds_of_a_halted_run_are_refused(pool: Pool) -> None:
    await hold(pool, run_id="r1", step_id="ask")
    outputs = await transact(pool, lambda tx: cancelling.refuse_halted(tx, {("acme", "r1"): ORIGIN}, at(30)))
    assert statuses(outputs) == [("refused", "run_halted")]
    [control] = values(outputs, "workflows.control")
    assert (control["outcome"], control["revision"]) == ("refused", 1)


@pytest.mark.parametrize("_round", range(5))
async def test_of_confirm_reject_expire_and_block_at_once_one_wins(pool: Pool, _round: int) -> None:
    await hold(pool)
    [(contact_id,)] = await rows(pool, "SELECT contact_id FROM contacts")
    yes, no, expired, blocked = await asyncio.gather(
        answer(pool, confirm()), answer(pool, reject()), expire(pool, 10_000), block(pool, contact_id, 20)
    )
    [said_yes], [said_no] = yes[0], no[0]
    finals = [
        status
        for outputs in (yes[1], no[1], expired, blocked)
        for status, _ in statuses(outputs)
        if status != "dispatched"
    ]
    assert len(finals) == 1
    shown = "dispatched" if finals == ["released"] else finals[0]
    assert (await standing(pool))[0] == shown
    assert bool(said_yes.changed) == (finals == ["released"])
    assert bool(said_no.changed) == (finals == ["rejected"])
    assert await rows(pool, "SELECT revision FROM sends") == [(3 if finals == ["released"] else 2,)]


async def test_the_facts_of_one_answer_have_the_same_ids_when_it_is_applied_anew(pool: Pool) -> None:
    await hold(pool)

    async def undone(tx: Any) -> list[Output]:
        savepoint = tx.transaction()
        await savepoint.start()
        _, outputs = await answer_in(tx, [confirm()])
        await savepoint.rollback()
        return outputs

    first, second = await transact(pool, undone), await transact(pool, undone)
    assert [(o.event.ce_id, o.event.value) for o in first] == [(o.event.ce_id, o.event.value) for o in second]
    assert len({o.event.ce_id for o in first}) == len(first)


async def test_a_step_hears_when_its_released_send_fails_for_good_and_when_it_went_after_all(pool: Pool) -> None:
    await run(pool, "r1", revision=4)
    await hold(pool, run_id="r1", step_id="ask")
    heard = []

    async def hear(outputs: list[Output]) -> None:
        heard.append([(v["outcome"], v["reason"]) for v in values(outputs, "workflows.control")])

    await hear((await answer(pool, confirm()))[1])
    await hear(await send(pool, receipt("failed", attempt=1, **TEMPORARY)))
    await hear(await repeat(pool, 60))
    await hear(await send(pool, receipt("failed", attempt=2, **TEMPORARY)))
    await hear(await send(pool, receipt("failed", attempt=2, **PERMANENT)))  # the status was `failed` already
    await hear(await send(pool, receipt("failed", attempt=2, **PERMANENT)))
    await hear(await send(pool, receipt("delivered", attempt=2)))
    await hear(await send(pool, receipt("read", attempt=2)))

    assert heard == [[("sent", None)], [], [], [], [("failed", "gone")], [], [("sent", None)], []]


async def test_the_step_of_a_send_that_was_never_held_hears_nothing_of_it(pool: Pool) -> None:
    await run(pool, "r1", revision=4)
    await send(pool, request(run_id="r1", step_id="ask"))
    assert values(await send(pool, receipt("failed", **PERMANENT)), "workflows.control") == []
