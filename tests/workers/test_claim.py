"""What senders call before they send: claim_send and may_send, which apply the rules in SQL."""

import asyncio
from uuid import UUID, uuid4

import pytest
from asyncpg import Pool

from tests.workers.records import WORKSPACE, at, uuid_of
from tests.workers.sending import (
    PHONE,
    answer,
    block,
    claim,
    confirm,
    join_company,
    protect,
    receipt,
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
from workers.sends import jobs


async def recheck(pool: Pool) -> list[Output]:
    outputs: list[Output] = await transact(pool, lambda tx: jobs.repeat(tx, at(60)))
    return outputs


async def may_send(pool: Pool, whom: UUID | str, channel: str = "whatsapp") -> tuple[bool, str | None]:
    kind = "uuid" if isinstance(whom, UUID) else "text"
    query = f"SELECT allowed, reason, reasons FROM may_send($1, $2::{kind}, $3)"  # noqa: S608
    [(allowed, reason, reasons)] = await rows(pool, query, WORKSPACE, whom, channel)
    assert (allowed, reason) == (reasons == [], next(iter(reasons), None))
    return allowed, reason


async def test_an_attempt_is_granted_once(pool: Pool) -> None:
    await send(pool, request())
    assert await claim(pool) == (True, None)
    assert await claim(pool) == (False, "already_claimed")


async def test_of_many_claims_at_once_one_is_granted(pool: Pool) -> None:
    await send(pool, request())
    assert sorted(await asyncio.gather(*(claim(pool) for _ in range(6))))[-2:] == [
        (False, "already_claimed"),
        (True, None),
    ]


async def test_what_was_never_dispatched_is_not_granted(pool: Pool) -> None:
    await protect(pool, await wrote(pool))
    await send(pool, request(), request("s2", to=uuid4()))
    assert await claim(pool, "nobody") == (False, "unknown_send")
    assert await claim(pool) == (False, "not_dispatched")
    assert await claim(pool, "s2") == (False, "not_dispatched")


async def test_an_attempt_that_another_one_followed_is_not_granted(pool: Pool) -> None:
    await send(pool, request())
    await send(pool, receipt("failed", error={"code": "busy"}))
    await recheck(pool)
    assert await claim(pool, attempt=1) == (False, "superseded")
    assert await claim(pool, attempt=2) == (True, None)


async def test_what_was_delivered_meanwhile_is_not_granted(pool: Pool) -> None:
    await send(pool, request())
    await send(pool, receipt("delivered"))
    assert await claim(pool) == (False, "delivered")


async def test_a_block_after_the_dispatch_denies_and_is_told(pool: Pool) -> None:
    contact_id = await wrote(pool)
    await send(pool, request())
    await block(pool, contact_id, 20)
    assert await claim(pool) == (False, "contact_blocked")
    assert statuses(await recheck(pool)) == [("refused", "contact_blocked")]
    assert await claim(pool) == (False, "contact_blocked")
    assert await recheck(pool) == []


async def test_an_opt_out_a_halt_and_a_lost_channel_deny(pool: Pool) -> None:
    await wrote(pool, "psid", channel="messenger")
    await run(pool, "r1")
    await send(
        pool,
        request("s1"),
        request("s2", to="+4915100000000", run_id="r1", step_id="a"),
        request("s3", to="psid", channel="messenger"),
    )
    await rows(pool, "UPDATE identities SET opted_out = true WHERE address = $1 RETURNING 1", PHONE)
    await rows(pool, "UPDATE workflow_runs SET state = 'halted' RETURNING 1")
    await rows(pool, "DELETE FROM identities WHERE channel = 'messenger' RETURNING 1")
    claims = [await claim(pool, name) for name in ("s1", "s2", "s3")]
    assert claims == [(False, "opted_out"), (False, "run_halted"), (False, "contact_must_initiate")]
    await recheck(pool)
    assert [(await standing(pool, n))[1] for n in ("s1", "s2", "s3")] == [reason for _, reason in claims]


async def test_a_new_protection_holds_again_and_a_confirmation_lets_the_next_attempt_go(pool: Pool) -> None:
    contact_id = await wrote(pool)
    await send(pool, request())
    await protect(pool, contact_id, minutes=15)
    assert await claim(pool) == (False, "status_protected")
    assert statuses(await recheck(pool)) == [("held", None)]
    assert await claim(pool) == (False, "status_protected")

    [result], outputs = await answer(pool, confirm())
    assert result.changed == {"released": 1}
    assert [v["attempt"] for v in values(outputs, "sends.dispatch")] == [2]
    assert await claim(pool, attempt=1) == (False, "superseded")
    assert await claim(pool, attempt=2) == (True, None)


async def test_a_confirmation_covers_what_it_saw_and_company_b_is_new(pool: Pool) -> None:
    contact_id = await wrote(pool)
    await protect(pool, contact_id)
    await send(pool, request())
    await answer(pool, confirm())
    await join_company(pool, contact_id, "bolt", minutes=40)
    assert await claim(pool) == (False, "company_protected")


async def test_a_denial_whose_reason_is_gone_sends_the_same_attempt_again(pool: Pool) -> None:
    contact_id = await wrote(pool)
    first = await send(pool, request())
    await protect(pool, contact_id, minutes=15)
    assert await claim(pool) == (False, "status_protected")
    await rows(pool, "UPDATE profile_statuses SET protected = false RETURNING 1")
    [again] = await recheck(pool)
    assert again.event.topic == "sends.dispatch"
    assert again.event.ce_id in {o.event.ce_id for o in first}
    assert again.event.value in {o.event.value for o in first}
    assert await claim(pool) == (True, None)
    assert await recheck(pool) == []


async def test_claim_and_block_at_once_agree(pool: Pool) -> None:
    contact_id = await wrote(pool)
    await send(pool, request())
    (granted, reason), _ = await asyncio.gather(claim(pool), block(pool, contact_id, 20))
    assert (granted, reason) in {(True, None), (False, "contact_blocked")}
    assert statuses(await recheck(pool)) == ([] if granted else [("refused", "contact_blocked")])


async def test_the_rules_are_asked_again_where_a_request_was_asked(pool: Pool) -> None:
    contact_id = await wrote(pool)
    await send(pool, request("dispatched before"))
    await protect(pool, contact_id)
    await join_company(pool, contact_id, "bolt")
    await send(pool, request("asked after"))
    [(reasons,)] = await rows(pool, "SELECT reasons FROM sends WHERE send_id = $1", uuid_of("asked after"))
    assert reasons == ["company_protected", "status_protected"]
    assert await claim(pool, "dispatched before") == (False, "company_protected")
    assert await may_send(pool, contact_id) == (False, "company_protected")
    assert await may_send(pool, PHONE) == (False, "company_protected")


async def test_may_send_tells_every_reason(pool: Pool) -> None:
    contact_id = await wrote(pool)
    await protect(pool, contact_id)
    await block(pool, contact_id, 5)
    await rows(pool, "UPDATE identities SET opted_out = true RETURNING 1")
    every = ["contact_blocked", "opted_out", "status_protected"]
    assert await rows(pool, "SELECT * FROM may_send($1, $2::uuid, 'whatsapp')", WORKSPACE, contact_id) == [
        (False, "contact_blocked", every)
    ]
    [(reasons,)] = await rows(pool, "SELECT reasons FROM may_send($1, $2::uuid, 'telegram')", WORKSPACE, contact_id)
    assert reasons == ["contact_blocked", "contact_must_initiate", "status_protected"]


@pytest.mark.parametrize(
    ("channel", "address", "reason"),
    [
        ("whatsapp", "22507123456", None),
        ("whatsapp", "US.13491208655302741918", None),
        ("sms", "12345", None),
        ("sms", "BANK", "bad_address"),
        ("email", "Ana <ana@example.com>", None),
    ],
)
@pytest.mark.parametrize("kind", ["message", "echo"])
async def test_who_wrote_can_be_answered(pool: Pool, channel: str, address: str, reason: str | None, kind: str) -> None:
    contact_id = await wrote(pool, address, channel=channel, kind=kind)
    wishes = request("by address", channel=channel, to=address), request("by contact", channel=channel, to=contact_id)
    answered = values(await send(pool, *wishes), "sends.dispatch")
    assert [v["address"] for v in answered] == ([] if reason else [address, address])
    for name in ("by address", "by contact"):
        assert (await standing(pool, name))[1] == reason
        assert await claim(pool, name) == ((False, "not_dispatched") if reason else (True, None))
    for whom in (contact_id, address):
        assert await may_send(pool, whom, channel) == (reason is None, reason)


async def test_who_was_only_blocked_has_not_written(pool: Pool) -> None:
    contact_id = await wrote(pool, "22507123456")
    await send(pool, request("asked before", to="22507123456"))
    await rows(pool, "UPDATE identities SET connected_at = NULL RETURNING 1")  # known from a command alone
    await send(pool, request("asked after", to="22507123456"))
    assert (await standing(pool, "asked after"))[:2] == ("refused", "bad_address")
    assert await claim(pool, "asked before") == (False, "bad_address")
    assert statuses(await recheck(pool)) == [("refused", "bad_address")]
    assert await may_send(pool, contact_id) == (False, "bad_address")
    assert await may_send(pool, "22507123456") == (False, "bad_address")
    assert await rows(pool, "SELECT state FROM contact_channels") == [("unavailable",)]


async def test_an_answer_goes_to_the_address_that_wrote(pool: Pool) -> None:
    await wrote(pool, "5215512345678")
    await wrote(pool, "Ana@Example.com", channel="email")
    wishes = request("s1", to="+525512345678"), request("s2", to="ana@example.com", channel="email")
    answered = values(await send(pool, *wishes), "sends.dispatch")
    assert [v["address"] for v in answered] == ["5215512345678", "Ana@Example.com"]


async def test_may_send_knows_what_cannot_be_reached(pool: Pool) -> None:
    contact_id = await wrote(pool)
    assert await may_send(pool, uuid4()) == (False, "unknown_contact")
    assert await may_send(pool, contact_id, "sms") == (True, None)
    assert await may_send(pool, contact_id, "telegram") == (False, "contact_must_initiate")
    assert await may_send(pool, contact_id, "whatsapp-main") == (True, None)
    assert await may_send(pool, "psid", "messenger") == (False, "contact_must_initiate")
    assert await may_send(pool, "+4915199999999") == (True, None)
    assert await may_send(pool, "BANK", "sms") == (False, "bad_address")
    assert await may_send(pool, "+22507123456") == (False, "bad_address")
    assert await may_send(pool, "ana@example.com", "email") == (True, None)
    assert await may_send(pool, "ana at example.com", "email") == (False, "bad_address")
    assert await may_send(pool, str(contact_id)) == (True, None)


async def test_contact_channels_show_every_way_to_a_contact(pool: Pool) -> None:
    await wrote(pool)
    await send(
        pool,
        request("s1", to="x@example.com", channel="email"),
        request("s2", channel="sms", to="+4915100000000"),
        request("s3", channel="messenger", to="psid"),
    )
    query = (
        "SELECT channel, channel_id, address, state, opted_out FROM contact_channels"
        " WHERE contact_id = $1 ORDER BY channel"
    )
    [(contact_id,)] = await rows(pool, "SELECT contact_id FROM contacts WHERE phone = $1", PHONE)
    assert await rows(pool, query, contact_id) == [
        ("email", "email-main", None, "unavailable", False),
        ("messenger", "messenger-main", None, "unavailable", False),
        ("sms", "sms-main", PHONE, "inactive", False),
        ("whatsapp", "whatsapp-main", PHONE, "active", False),
    ]
