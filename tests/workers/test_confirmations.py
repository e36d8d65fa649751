"""Every confirmation leaves evidence: who gave it, when, on which text, for which reasons, and what it led to."""

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from asyncpg import Pool

from tests.workers.asking import ask, give
from tests.workers.erasing import erase
from tests.workers.records import WORKSPACE, at, uuid_of
from tests.workers.sending import (
    answer,
    configure,
    confirm,
    join_company,
    protect,
    reject,
    request,
    rows,
    send,
    wrote,
)
from tests.workers.stepping import at_most, steps
from workers.records import Output

VIEW = """
    SELECT confirmed_by, role, confirmed_at, reasons, outcome FROM sluice.send_confirmations
    WHERE workspace_id = $1 AND send_id = $2 ORDER BY confirmed_at, confirmed_by, outcome
"""
BOB = ("bob", "agent", at(30))


async def evidence(pool: Pool, name: str = "s1") -> list[tuple[Any, ...]]:
    return await rows(pool, VIEW, WORKSPACE, uuid_of(name))


async def hold(pool: Pool, *names: str, **fields: Any) -> Any:
    """A protected contact with these holds."""
    contact_id = await wrote(pool)
    await protect(pool, contact_id)
    await send(pool, *(request(name, **fields) for name in names))
    return contact_id


def dispatched(outputs: Sequence[Output]) -> list[bytes]:
    """The contents, byte for byte as they went to the sender."""

    class Dispatch(msgspec.Struct):
        content: msgspec.Raw

    topic = "sends.dispatch"
    told = [o.event.value or b"" for o in outputs if o.event.topic == topic]
    return [bytes(msgspec.json.decode(value, type=Dispatch).content) for value in told]


async def test_a_confirmation_says_who_gave_it_for_which_text_and_reasons(pool: Pool) -> None:
    await hold(pool, "s1", content={"type": "text", "text": 'Grüße, \u2028 "Ada" 🙂\n', "subject": "a/b"})
    _, outputs = await answer(pool, confirm(), confirm(by="eve", command="again"))
    await answer(pool, confirm(), confirm(by="eve", command="later"))

    assert await evidence(pool) == [(*BOB, ["status_protected"], "released")]
    [content] = dispatched(outputs)
    [(digest,)] = await rows(pool, "SELECT content_sha256 FROM sluice.send_confirmations")
    assert digest == hashlib.sha256(content).hexdigest()


async def test_what_it_led_to_is_told_each_time(pool: Pool) -> None:
    contact_id = await hold(pool, "s1", "s2")
    await join_company(pool, contact_id, "bolt")
    await answer(pool, confirm(), confirm(by="eve", command="unseen"))
    await answer(pool, confirm(command="seen"))
    await rows(pool, "UPDATE identities SET opted_out = true RETURNING 1")
    await answer(pool, confirm("s2"))

    assert await evidence(pool) == [
        (*BOB, ["status_protected"], "held"),
        (*BOB, ["company_protected"], "released"),
        ("eve", "agent", at(30), ["status_protected"], "held"),
    ]
    assert await evidence(pool, "s2") == [(*BOB, ["status_protected"], "refused")]


async def test_what_is_no_confirmation_leaves_nothing(pool: Pool) -> None:
    await configure(pool, two_person_confirm=True)
    await hold(pool, "own", "rejected", "expired")
    await answer(pool, confirm("own", by="ann"), reject("rejected", command="no"))
    await answer(pool, confirm("expired", command="late"), now=at(60 * 24 * 9))
    await send(pool, request("s4", confirmation={"confirmed_by": "ann", "confirmed_at": at(9)}))
    assert await rows(pool, "SELECT * FROM sluice.send_confirmations") == []


async def test_an_answer_that_came_with_the_request_is_one(pool: Pool) -> None:
    contact_id = await wrote(pool)
    later = {"confirmed_by": "bob", "confirmed_at": at(8)}
    await send(pool, request("free", confirmation=later))
    await protect(pool, contact_id, minutes=7)
    early = {"confirmed_by": "bob", "confirmed_at": at(6)}
    own = {"confirmed_by": "ann", "confirmed_at": at(8)}
    answered = request("s1", confirmation=later)
    await send(pool, answered, answered, request("own", confirmation=own), request("unseen", confirmation=early))
    await send(pool, answered)
    await rows(pool, "UPDATE identities SET opted_out = true RETURNING 1")
    await send(pool, request("refused", confirmation=later), request("nobody's"))

    assert await evidence(pool, "free") == [("bob", None, at(8), [], "released")]
    assert await evidence(pool) == [("bob", None, at(8), ["status_protected"], "released")]
    assert await evidence(pool, "own") == [("ann", "agent", at(8), ["status_protected"], "released")]
    assert await evidence(pool, "unseen") == [("bob", None, at(6), [], "held")]
    assert await evidence(pool, "refused") == [("bob", None, at(8), ["status_protected"], "refused")]
    assert await rows(pool, "SELECT count(*) FROM sluice.send_confirmations") == [(5,)]


async def test_answers_to_groups_leave_one_for_each_send_at_once_or_in_steps(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_most(monkeypatch, 4)
    contact_id = await hold(pool, *(f"g{n}" for n in range(3)), group_id="small")
    await send(pool, *(request(f"l{n}", group_id="large") for n in range(10)))
    await answer(pool, confirm(group="small"))
    await answer(pool, confirm(group="large", by="eve", command="large"))
    count = "SELECT confirmed_by, role, outcome, count(*) FROM sluice.send_confirmations GROUP BY 1, 2, 3 ORDER BY 1, 3"
    assert await rows(pool, count) == [("bob", "agent", "released", 3)]
    await answer(pool, confirm("l7", command="later"))  # its answer takes effect, and the later one changes nothing
    assert await evidence(pool, "l7") == [("eve", "agent", at(30), ["status_protected"], "released")]
    await join_company(pool, contact_id, "bolt")
    await steps(pool, 100)
    assert await rows(pool, count) == [
        ("bob", "agent", "released", 3),
        ("eve", "agent", "held", 9),
        ("eve", "agent", "released", 1),
    ]


async def test_they_outlive_the_contact(pool: Pool) -> None:
    contact_id = await hold(pool, "s1")
    await answer(pool, confirm())
    before = await rows(pool, "SELECT * FROM sluice.send_confirmations")
    await give(pool, ask("delete_contacts", contact_ids=[contact_id], expected_count=1, minutes=60))
    await erase(pool)
    assert await rows(pool, "SELECT content::text FROM sends") == [("{}",)]
    assert await rows(pool, "SELECT * FROM sluice.send_confirmations") == before
