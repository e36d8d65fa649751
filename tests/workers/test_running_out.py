"""Attempts that nobody claims, or that have no receipt, until `claim_ttl_hours` after their dispatch (contract 10)."""

import asyncio
from typing import Any

import pytest
from asyncpg import Pool

from tests.workers.records import at, uuid_of
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

HOUR = 60
END = 10 + 24 * HOUR  # in minutes, of an attempt that was dispatched at minute 10
ATTEMPTS = "SELECT attempt, status, error_code, permanent, status_at FROM send_attempts ORDER BY attempt"


async def run_out(pool: Pool, minutes: float = END) -> list[Output]:
    outputs: list[Output] = await transact(pool, lambda tx: jobs.run_out(tx, at(minutes)))
    return outputs


async def dispatched(pool: Pool, *names: str, claimed: bool = False) -> None:
    await send(pool, *(request(name) for name in names))
    if claimed:
        assert [await claim(pool, name) for name in names] == [(True, None)] * len(names)


async def test_what_nobody_claims_fails_for_good_and_what_was_claimed_becomes_ambiguous(pool: Pool) -> None:
    await dispatched(pool, "claimed", claimed=True)
    await dispatched(pool, "left")
    assert await run_out(pool, END - 0.1) == []

    told = {v["send_id"]: v for v in values(await run_out(pool), "sends.status")}
    left, claimed = (told[str(uuid_of(name))] for name in ("left", "claimed"))
    assert (left["status"], left["reason"], left["actor"], left["attempt"]) == ("failed", "not_claimed", None, 1)
    assert (claimed["status"], claimed["reason"], claimed["attempt"]) == ("ambiguous", None, 1)
    assert sorted(await rows(pool, ATTEMPTS)) == [
        (1, "ambiguous", None, False, at(END)),
        (1, "failed", "not_claimed", True, at(END)),
    ]
    assert await run_out(pool, 2 * END) == []
    assert await repeat(pool, 2 * END) == []
    assert await claim(pool, "left") == (False, "not_claimed")
    assert await claim(pool, "claimed") == (False, "already_claimed")


async def test_the_workspace_says_how_long(pool: Pool) -> None:
    await configure(pool, claim_ttl_hours=1)
    await dispatched(pool, "s1")
    assert await run_out(pool, 69) == []
    assert statuses(await run_out(pool, 70)) == [("failed", "not_claimed")]


async def test_any_later_receipt_beats_what_the_clock_said(pool: Pool) -> None:
    said: dict[str, tuple[str, dict[str, Any]]] = {
        "sent": ("sent", {}),
        "delivered": ("delivered", {}),
        "refused by the provider": ("failed", PERMANENT),
        "to be repeated": ("failed", TEMPORARY),
        "ambiguous": ("ambiguous", {}),
    }
    expected = [("sent", None), ("delivered", None), ("failed", "gone"), ("failed", "busy")]
    for claimed in (False, True):
        names = {name: f"{name}, {claimed}" for name in said}
        await dispatched(pool, *names.values(), claimed=claimed)
        await run_out(pool)
        receipts = [receipt(status, names[name], **fields) for name, (status, fields) in said.items()]
        assert statuses(await send(pool, *receipts)) == expected
        assert await standing(pool, names["ambiguous"]) == (
            ("ambiguous", None, 1) if claimed else ("failed", "not_claimed", 1)
        )
        again = values(await repeat(pool, 2 * END), "sends.dispatch")
        assert [(v["send_id"], v["attempt"]) for v in again] == [(str(uuid_of(names["to be repeated"])), 2)]


async def test_a_send_whose_claim_was_denied_is_judged_again_first(pool: Pool) -> None:
    contact_id = await wrote(pool)
    await dispatched(pool, "s1")
    await block(pool, contact_id, 15)
    assert await claim(pool) == (False, "contact_blocked")
    assert await run_out(pool) == []
    assert statuses(await repeat(pool, END)) == [("refused", "contact_blocked")]


async def test_an_attempt_that_is_published_again_has_all_its_time(pool: Pool) -> None:
    contact_id = await wrote(pool)
    await dispatched(pool, "s1")
    await protect(pool, contact_id, minutes=15)
    assert await claim(pool) == (False, "status_protected")
    await rows(pool, "UPDATE profile_statuses SET protected = false RETURNING 1")
    assert len(await repeat(pool, END)) == 1
    assert await run_out(pool, 2 * END - 11) == []
    assert statuses(await run_out(pool, 2 * END)) == [("failed", "not_claimed")]


async def test_an_attempt_that_another_followed_stands_in_nobodys_way(pool: Pool) -> None:
    contact_id = await wrote(pool)
    await dispatched(pool, "s1")
    await protect(pool, contact_id, minutes=15)
    await claim(pool)
    assert statuses(await repeat(pool, 20)) == [("held", None)]
    await answer(pool, confirm())
    assert statuses(await send(pool, receipt("failed", attempt=2, **TEMPORARY))) == [("failed", "busy")]
    assert [v["attempt"] for v in values(await repeat(pool, 60), "sends.dispatch")] == [3]
    assert statuses(await run_out(pool, 2 * END)) == [("failed", "not_claimed")]
    assert [row[1] for row in await rows(pool, ATTEMPTS)] == ["failed"] * 3


async def test_the_step_of_a_released_send_hears_that_nobody_claimed_it(pool: Pool) -> None:
    await run(pool, "r1")
    await protect(pool, await wrote(pool))
    await send(pool, request(run_id="r1", step_id="ask"))
    await answer(pool, confirm())
    [told] = values(await run_out(pool, 2 * END), "workflows.control")
    assert (told["outcome"], told["reason"]) == ("failed", "not_claimed")


async def test_some_sends_at_a_time(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "RUN_OUT_AT_ONCE", 2)
    await dispatched(pool, "s1", "s2", "s3")
    assert [len(await run_out(pool)) for _ in range(3)] == [2, 1, 0]


async def test_a_claim_at_the_very_end_is_granted_or_denied(pool: Pool) -> None:
    names = [f"s{n}" for n in range(8)]
    await dispatched(pool, *names)
    claims, ended = await asyncio.gather(asyncio.gather(*(claim(pool, name) for name in names)), run_out(pool))
    await run_out(pool)  # of sends that were just being claimed
    for name, answered in zip(names, claims, strict=True):
        shown = {(True, None): ("ambiguous", None), (False, "not_claimed"): ("failed", "not_claimed")}
        assert (await standing(pool, name))[:2] == shown[answered]
    assert len(ended) <= len(names)
