"""Receipts: forward only, in any order, parked until their attempt exists."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from asyncpg import Pool

from schemas.ids import message_id
from tests.store.storing import seal, turn
from tests.workers.records import WORKSPACE, at, uuid_of
from tests.workers.sending import (
    PERMANENT,
    TEMPORARY,
    answer,
    block,
    claim,
    configure,
    confirm,
    protect,
    receipt,
    repeat,
    request,
    rows,
    send,
    standing,
    statuses,
    transact,
    values,
    wrote,
)
from workers.sends import early_receipts, jobs

ACTIVE = "SELECT active_contacts FROM mac_counts ORDER BY cycle_start"
SHOWN = "SELECT direction, channel, content ->> 'text', event_time FROM conversation_messages ORDER BY event_time"
SAME = {"type": "text", "text": "text of s1"}


async def test_a_send_goes_from_sent_to_read_and_never_back(pool: Pool) -> None:
    await send(pool, request())
    for said, shown in [("delivered", "delivered"), ("sent", "delivered"), ("read", "read"), ("failed", "read")]:
        await send(pool, receipt(said))
        assert (await standing(pool))[0] == shown


async def test_the_attempts_of_a_send_show_what_receipts_said(pool: Pool) -> None:
    shown = """
        SELECT attempt, dispatched_at, claimed_at IS NOT NULL, status, provider_message_id, error_code, error_message,
            at
        FROM sluice.send_attempts WHERE send_id = $1 ORDER BY attempt
    """
    await send(pool, request())
    assert await rows(pool, shown, uuid_of("s1")) == [(1, at(10), False, "dispatched", None, None, None, None)]
    await claim(pool)
    await send(pool, receipt("failed", error={"code": 131026, "message": "x" * 1_001}))
    await repeat(pool, 60)
    await send(pool, receipt("sent", minutes=70, attempt=2, provider_message_id="p2"))
    await send(pool, receipt("read", minutes=72, attempt=2), receipt("delivered", minutes=71, attempt=2))
    assert await rows(pool, shown, uuid_of("s1")) == [
        (1, at(10), True, "failed", None, "131026", "x" * 1_000, at(20)),
        (2, at(60), False, "read", "p2", None, None, at(72)),
    ]


async def test_a_repeated_receipt_says_nothing(pool: Pool) -> None:
    await send(pool, request())
    assert len(await send(pool, receipt("sent"))) == 1
    assert await send(pool, receipt("sent"), receipt("sent", minutes=30)) == []


async def test_the_first_acceptance_connects_the_channel_and_counts(pool: Pool) -> None:
    await send(pool, request())
    assert await rows(pool, ACTIVE) == []
    await send(pool, receipt("sent", minutes=20, provider_message_id="p1"))

    assert await rows(pool, "SELECT state, connected_at, channel_id FROM contact_channels") == [
        ("active", at(20), "whatsapp-main")
    ]
    assert await rows(pool, SHOWN) == [("out", "whatsapp", "text of s1", at(20))]
    assert await rows(pool, ACTIVE) == [(1,)]
    stored = message_id(WORKSPACE, "whatsapp-main", "out", "p1")
    assert await rows(pool, "SELECT message_id FROM conversation_messages") == [(stored,)]
    assert await rows(pool, "SELECT conversation_status FROM contact_overview") == [("closed",)]


async def test_without_a_providers_id_the_message_is_named_by_the_send(pool: Pool) -> None:
    await send(pool, request())
    await send(pool, receipt("delivered"))
    stored = message_id(WORKSPACE, "whatsapp-main", "out", f"send:{uuid_of('s1')}")
    assert await rows(pool, "SELECT message_id FROM conversation_messages") == [(stored,)]


async def test_a_failure_that_was_accepted_counts_whatever_the_order(pool: Pool) -> None:
    await send(pool, request("s1"), request("s2", to="+4915100000000"))
    await send(pool, receipt("failed", "s1", **PERMANENT), receipt("sent", "s1"))
    await send(pool, receipt("failed", "s2", **PERMANENT))
    assert (await standing(pool))[0] == "failed"
    assert await rows(pool, ACTIVE) == [(1,)]


@pytest.mark.parametrize("sealed", [False, True], ids=["at once", "when it lies in an old generation"])
async def test_an_earlier_acceptance_learned_later_moves_the_message_and_its_month(pool: Pool, *, sealed: bool) -> None:
    now = at(60 * 24 * 40)
    await send(pool, request(), now=now)
    later = at(60 * 24 * 30)
    await send(pool, receipt("delivered", minutes=60 * 24 * 30), now=now)
    assert await rows(pool, "SELECT event_time FROM conversation_messages") == [(later,)]
    if sealed:
        assert await turn(pool)
        assert await seal(pool)
    await send(pool, receipt("sent", minutes=20), now=now)
    assert await rows(pool, "SELECT event_time FROM conversation_messages") == [(at(20),)]
    assert await rows(pool, ACTIVE) == [(1,), (0,)]


async def test_an_acceptance_is_not_before_its_request_nor_in_the_future(pool: Pool) -> None:
    await send(pool, request(minutes=10))
    await send(pool, receipt("sent", minutes=5))
    assert await rows(pool, "SELECT event_time FROM conversation_messages") == [(at(10),)]


async def test_a_number_on_file_becomes_an_identity_once_the_provider_accepts(pool: Pool) -> None:
    contact_id = await wrote(pool, channel="sms")
    await send(pool, request(to=contact_id))
    assert await rows(pool, "SELECT count(*) FROM identities") == [(1,)]
    await send(pool, receipt("sent"))
    found = "SELECT contact_id, state FROM contact_channels WHERE channel = 'whatsapp'"
    assert await rows(pool, found) == [(contact_id, "active")]
    assert await rows(pool, "SELECT count(*) FROM unpublished_contacts WHERE contact_id = $1", contact_id) == [(1,)]


async def test_a_receipt_by_the_providers_id_alone_finds_its_send(pool: Pool) -> None:
    await send(pool, request())
    await send(pool, receipt("sent", provider_message_id="p1"))
    await send(pool, receipt("read", None, provider_message_id="p1"))
    assert (await standing(pool))[0] == "read"


async def test_a_receipt_that_comes_first_waits_for_its_send(pool: Pool) -> None:
    assert await send(pool, receipt("delivered", provider_message_id="p1")) == []
    assert await send(pool, receipt("read", None, provider_message_id="p1")) == []
    assert await rows(pool, "SELECT workspace_id FROM workspaces") == [(WORKSPACE,)]

    outputs = await send(pool, request())

    assert statuses(outputs) == [("dispatched", None), ("delivered", None), ("read", None)]
    assert {o.source.topic for o in outputs} == {"messages.outbound"}
    assert await rows(pool, "SELECT count(*) FROM parked_receipts") == [(0,)]


async def test_a_receipt_for_a_held_send_waits_until_it_is_released(pool: Pool) -> None:
    await protect(pool, await wrote(pool))
    await send(pool, request())
    assert await send(pool, receipt("sent")) == []
    _, outputs = await answer(pool, confirm())
    assert [s for s, _ in statuses(outputs)] == ["released", "dispatched", "sent"]


async def test_what_was_overlooked_is_found(pool: Pool) -> None:
    await send(pool, receipt("sent"))
    await rows(pool, "UPDATE parked_receipts SET send_id = $1 RETURNING 1", uuid_of("other"))
    await send(pool, request())
    await rows(pool, "UPDATE parked_receipts SET send_id = $1 RETURNING 1", uuid_of("s1"))
    [fact] = (await transact(pool, lambda tx: early_receipts.Overlooked().run(tx, at(30)))).events
    assert msgspec.json.decode(fact.value)["status"] == "sent"


async def test_however_many_wait_for_one_attempt_a_transaction_takes_up_some_and_the_job_the_others(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(early_receipts, "RECEIPTS_AT_ONCE", 4)
    monkeypatch.setattr(early_receipts, "LOOKED_AT", 6)
    await send(pool, *(receipt("sent", "unheard of", minutes=n) for n in range(9)))
    await send(pool, *(receipt("sent", provider_message_id="p1", minutes=n) for n in range(9)))
    await send(pool, *(receipt("delivered", None, provider_message_id="p1", minutes=n) for n in range(9)))
    await send(pool, request())
    assert await rows(pool, "SELECT count(*) FROM parked_receipts") == [(9 + 5 + 5,)]
    overlooked, taken = early_receipts.Overlooked(), []
    for _ in range(9):
        [(before,)] = await rows(pool, "SELECT count(*) FROM parked_receipts")
        await transact(pool, lambda tx: overlooked.run(tx, at(30)))
        [(after,)] = await rows(pool, "SELECT count(*) FROM parked_receipts")
        taken.append(before - after)
    assert (sum(taken), max(taken) <= 2 * 4) == (10, True)
    assert await rows(pool, "SELECT DISTINCT send_id FROM parked_receipts") == [(uuid_of("unheard of"),)]
    assert (await standing(pool))[0] == "delivered"


async def test_a_receipt_nobody_claims_is_given_up_after_a_day(pool: Pool) -> None:
    early = receipt("sent")
    await send(pool, early, now=at(20))
    day = timedelta(days=1)
    assert await transact(pool, lambda tx: early_receipts.give_up(tx, at(20) + day - timedelta(seconds=1))) == []
    [letter] = await transact(pool, lambda tx: early_receipts.give_up(tx, at(20) + day))
    assert early.raw is not None
    came = early.raw.offset, early.raw.timestamp, early.raw.key, early.raw.value, early.raw.headers
    raw = letter.raw
    assert letter.source == early.source
    assert (raw.offset, raw.timestamp, raw.key, raw.value, raw.headers) == came
    query = "SELECT source_topic, source_offset, error, status FROM sluice.dead_letters"
    assert await rows(pool, query) == [
        ("messages.receipts", early.offset, "no attempt of a send to apply it to within a day", "new")
    ]


async def test_a_temporary_failure_is_repeated_after_growing_pauses(pool: Pool) -> None:
    await send(pool, request(), now=at(10))
    dispatched = []
    for number in range(1, 6):
        now = 10 + number * 60
        await send(pool, receipt("failed", attempt=number, minutes=now, **TEMPORARY), now=at(now))
        assert await standing(pool) == ("failed", "busy", number)
        assert await repeat(pool, now + 0.3) == []
        dispatched += [v["attempt"] for v in values(await repeat(pool, now + 59), "sends.dispatch")]
    assert dispatched == [2, 3, 4, 5]


async def test_no_attempt_comes_before_the_time_that_the_provider_asks_for(pool: Pool) -> None:
    names = ("said at once", "said later", "of the past", "for years", "final")
    await send(pool, *(request(name) for name in names))

    def after(seconds: float, **fields: Any) -> dict[str, Any]:
        return {"error": {"code": "busy", "retry_after_s": seconds} | fields}

    failed = {
        "said at once": [after(3_600)],
        "said later": [TEMPORARY, after(3_600), after(60)],
        "of the past": [after(0)],
        "for years": [after(1e9)],
        "final": [after(3_600, permanent=True)],
    }
    receipts = [receipt("failed", name, **fields) for name, said in failed.items() for fields in said]
    await send(pool, *receipts)

    dispatched = []
    for minutes in (20 + 59.9, 20 + 60, 20 + 24 * 60 - 0.1, 20 + 24 * 60):
        came = {v["send_id"] for v in values(await repeat(pool, minutes), "sends.dispatch")}
        dispatched.append({name for name in names if str(uuid_of(name)) in came})
    assert dispatched == [{"of the past"}, {"said at once", "said later"}, set(), {"for years"}]


async def test_a_permanent_failure_is_final(pool: Pool) -> None:
    await send(pool, request())
    await send(pool, receipt("failed", **PERMANENT))
    assert await repeat(pool, 10_000) == []


async def test_a_repeat_is_judged_again(pool: Pool) -> None:
    contact_id = await wrote(pool)
    await send(pool, request("s1"), request("s2"))
    await send(pool, receipt("failed", "s1", **TEMPORARY), receipt("failed", "s2", **TEMPORARY))
    await block(pool, contact_id, 25)
    outputs = await repeat(pool, 60)
    assert statuses(outputs) == [("refused", "contact_blocked")] * 2


async def test_a_late_success_of_an_earlier_attempt_stops_the_repeats(pool: Pool) -> None:
    await send(pool, request())
    await send(pool, receipt("failed", **TEMPORARY))
    await send(pool, receipt("delivered", attempt=1))
    assert await repeat(pool, 10_000) == []
    assert await standing(pool) == ("delivered", None, 1)


async def test_an_ambiguous_attempt_is_never_repeated_until_a_receipt_settles_it(pool: Pool) -> None:
    await send(pool, request())
    await send(pool, receipt("ambiguous"))
    assert await repeat(pool, 10_000) == []
    assert statuses(await send(pool, receipt("failed", **TEMPORARY))) == [("failed", "busy")]
    assert [v["attempt"] for v in values(await repeat(pool, 60), "sends.dispatch")] == [2]


async def test_receipts_that_settle_as_sent_and_as_failed_are_final(pool: Pool) -> None:
    await send(pool, request("s1"), request("s2"))
    await send(pool, receipt("ambiguous", "s1"), receipt("ambiguous", "s2"))
    await send(pool, receipt("sent", "s1"), receipt("failed", "s2", **PERMANENT))
    assert [(await standing(pool, n))[0] for n in ("s1", "s2")] == ["sent", "failed"]
    assert await repeat(pool, 10_000) == []


async def test_who_stopped_us_is_opted_out(pool: Pool) -> None:
    await send(pool, request())
    await send(pool, receipt("failed", contact_stopped=True, **TEMPORARY))
    assert await rows(pool, "SELECT opted_out FROM contact_channels") == [(True,)]
    assert await repeat(pool, 10_000) == []
    await send(pool, request("s2", minutes=30))
    assert await standing(pool, "s2") == ("refused", "opted_out", 0)


async def test_broadcasts_count_as_the_workspace_says(pool: Pool) -> None:
    await configure(pool, count_broadcasts=False)
    await send(pool, request("s1", source="broadcast"))
    await send(pool, receipt("sent"))
    assert await rows(pool, "SELECT coalesce(sum(active_contacts), 0) FROM mac_counts") == [(0,)]


async def test_a_receipt_of_an_unclaimed_attempt_is_taken_even_after_a_refusal(pool: Pool) -> None:
    contact_id = await wrote(pool)
    await send(pool, request())
    await block(pool, contact_id, 15)
    assert await claim(pool) == (False, "contact_blocked")
    assert statuses(await repeat(pool, 30)) == [("refused", "contact_blocked")]
    await send(pool, receipt("sent"))
    assert await standing(pool) == ("sent", None, 1)


async def test_a_receipt_by_an_id_that_no_attempt_keeps_goes_on_waiting(pool: Pool) -> None:
    """An attempt keeps the first id it is named by. What waits for another one is not taken out to be lost."""
    await send(pool, request())
    await send(pool, receipt("read", None, provider_message_id="p2"))
    await send(pool, receipt("sent", provider_message_id="p1"))
    await send(pool, receipt("delivered", provider_message_id="p2"))
    assert (await standing(pool))[0] == "delivered"
    assert await rows(pool, "SELECT provider_message_id FROM parked_receipts") == [("p2",)]


async def test_sends_with_much_to_say_are_repeated_a_few_at_a_time(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "STEP_BYTES", 400)
    long = {"type": "text", "text": "x" * 400}
    await send(pool, *(request(f"s{n}", content=long) for n in range(4)))
    await send(pool, *(receipt("failed", f"s{n}", minutes=15, **TEMPORARY) for n in range(4)))
    assert [len(values(await repeat(pool, 60), "sends.dispatch")) for _ in range(5)] == [1, 1, 1, 1, 0]
