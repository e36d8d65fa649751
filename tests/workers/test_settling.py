"""settle_send: a person says what became of a send that may or may not have gone out (contract 4.6)."""

from typing import Any

import pytest
from asyncpg import Pool

from tests.workers.asking import ask, give, results, said
from tests.workers.records import at, uuid_of
from tests.workers.sending import (
    PERMANENT,
    PHONE,
    TEMPORARY,
    protect,
    receipt,
    repeat,
    request,
    rows,
    send,
    standing,
    statuses,
    values,
    wrote,
)
from workers.records import Record

ATTEMPTS = "SELECT attempt, status, error_code FROM send_attempts ORDER BY attempt"


def settle(as_: str, name: str = "s1", *, minutes: float = 30, **fields: Any) -> Record[Any]:
    fields |= {"as": as_}
    return ask("settle_send", minutes=minutes, send_id=uuid_of(name), **fields)


async def unclear(pool: Pool, *names: str) -> None:
    """Sends whose first attempt is ambiguous."""
    await send(pool, *(request(name) for name in names))
    await send(pool, *(receipt("ambiguous", name) for name in names))


async def test_as_sent_it_joins_the_conversation_and_counts(pool: Pool) -> None:
    await unclear(pool, "s1")
    outputs = await give(pool, settle("sent"))
    assert said(outputs) == [{"status": "sent"}]
    [event] = values(outputs, "sends.status")
    assert (event["status"], event["reason"], event["actor"], event["attempt"]) == ("sent", None, "olga", 1)
    assert await standing(pool) == ("sent", None, 1)
    assert await rows(pool, "SELECT event_time FROM sluice.conversation_messages") == [(at(30),)]
    assert await rows(pool, "SELECT active_contacts FROM mac_counts") == [(1,)]


async def test_as_failed_it_is_final(pool: Pool) -> None:
    await unclear(pool, "s1")
    outputs = await give(pool, settle("failed"))
    assert said(outputs) == [{"status": "failed"}]
    assert statuses(outputs) == [("failed", "settled")]
    assert await repeat(pool, 10_000) == []
    assert await rows(pool, "SELECT active_contacts FROM mac_counts") == []


async def test_retry_makes_the_next_attempt_which_is_judged_again(pool: Pool) -> None:
    await unclear(pool, "s1", "s2")
    assert await results(pool, settle("retry"), settle("retry", "s2")) == 2 * [{"status": "failed", "next_attempt": 2}]
    assert await standing(pool) == ("failed", "settled", 1)
    await protect(pool, await wrote(pool), minutes=40)
    outputs = await repeat(pool, 60)
    assert [status for status, _ in statuses(outputs)] == ["held", "held"]


async def test_a_receipt_that_comes_later_is_taken_as_any_other(pool: Pool) -> None:
    await unclear(pool, "s1")
    await give(pool, settle("failed"))
    assert statuses(await send(pool, receipt("delivered"))) == [("delivered", None)]


@pytest.mark.parametrize("as_", ["sent", "failed", "retry"])
async def test_only_an_ambiguous_send_can_be_settled(pool: Pool, as_: str) -> None:
    await send(pool, request("waiting"), request("gone"), request("failed"))
    await send(pool, receipt("delivered", "gone"), receipt("failed", "failed", **PERMANENT))
    expected = {"waiting": "invalid", "gone": "already_final", "failed": "already_final", "nobody's": "not_found"}
    # One that changes nothing is done.
    unchanged: dict[str, Any] = {"sent": {"gone": {}}, "failed": {"failed": {}}, "retry": {}}[as_]
    answers = await results(pool, *(settle(as_, name) for name in expected))
    assert dict(zip(expected, answers, strict=True)) == expected | unchanged


async def test_the_first_of_several_words_wins(pool: Pool) -> None:
    await unclear(pool, "s1", "s2")
    words = [settle("sent"), settle("failed"), settle("retry", "s2"), settle("failed", "s2"), settle("sent", "s2")]
    answers = await results(pool, *words)
    assert answers == [
        {"status": "sent"},
        "already_final",
        {"status": "failed", "next_attempt": 2},
        {},
        "already_final",
    ]
    assert [(await standing(pool, name))[0] for name in ("s1", "s2")] == ["sent", "failed"]


async def test_nothing_follows_the_last_attempt(pool: Pool) -> None:
    await send(pool, request())
    for number in range(1, 5):
        await send(pool, receipt("failed", minutes=20 + number, **TEMPORARY))
        assert [v["attempt"] for v in values(await repeat(pool, 1_000 * number), "sends.dispatch")] == [number + 1]
    await send(pool, receipt("ambiguous", minutes=5_000))
    assert await results(pool, settle("retry", minutes=5_001)) == ["invalid"]
    assert await results(pool, settle("failed", minutes=5_002)) == [{"status": "failed"}]
    assert (await rows(pool, ATTEMPTS))[-1] == (5, "failed", "settled")


async def test_a_number_on_file_becomes_an_identity_when_a_person_says_that_it_was_sent(pool: Pool) -> None:
    contact = await wrote(pool, "+4915199999999", name="Ana")
    await results(pool, ask("update_contact", contact_id=contact, set={"phone": PHONE}))
    await send(pool, request(to=contact, channel="sms"))
    await send(pool, receipt("ambiguous", channel_id="sms-main"))
    assert await results(pool, settle("sent")) == [{"status": "sent"}]
    assert await rows(pool, "SELECT contact_id FROM identities WHERE channel = 'sms' AND lookup = $1", PHONE) == [
        (contact,)
    ]
