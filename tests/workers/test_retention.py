"""message_retention_days: content goes, and what proves counts stays."""

from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from asyncpg import Pool

from tests.workers.asking import ask, contact_of, details, give, results, rows, said
from tests.workers.erasing import traces
from tests.workers.forgetting import forget, keep
from tests.workers.ingesting import ingest
from tests.workers.records import WORKSPACE, at, message, uuid_of
from tests.workers.sending import TEMPORARY, receipt, repeat, request, send, standing, statuses, wrote
from tests.workers.verified import verified
from workers.messages import retention as job
from workers.store import message_generations, retention

ANA, BOB = "+4915112345678", "+4915187654321"
DAYS: Final = 1_440  # minutes of a day
PAGE: Final = "SELECT content ->> 'text' FROM sluice.conversation_page($1, $2, NULL, NULL, 9)"
SHOWN: Final = "SELECT kind, content ->> 'text' FROM sluice.conversation_messages ORDER BY event_time, message_id"
COUNTED: Final = (
    "SELECT * FROM sluice.mac_proofs ORDER BY event_time, message_id",
    "SELECT cycle_start, active_contacts, adjustments FROM sluice.mac_counts ORDER BY cycle_start",
    "SELECT * FROM sluice.mac_contacts ORDER BY cycle_start, contact_id",
    "SELECT * FROM sluice.drop_ledger ORDER BY event_time, message_id",
)


def after(days: float) -> datetime:
    return at(days * DAYS)


async def counted(pool: Pool) -> list[Any]:
    return [await rows(pool, query) for query in COUNTED]


async def test_content_goes_after_that_time_and_the_rows_stay(pool: Pool) -> None:
    await keep(pool, 30)
    await ingest(pool, message(ANA, text="old words", name="Ana"), message(ANA, minutes=1, text="oh", kind="reaction"))
    await ingest(
        pool, message(ANA, minutes=2, text="from staff", kind="echo"), message(ANA, minutes=5 * DAYS, text="new")
    )
    ana = await contact_of(pool, ANA)
    await give(pool, ask("comment", minutes=3, contact_id=ana, text="she sings"))
    await send(pool, request(text="x", minutes=4, content={"type": "text", "text": "our answer"}))
    await send(pool, receipt("delivered", minutes=6))
    before = await counted(pool)

    assert await forget(pool, after(29)) == 1
    assert [text for _, text in await rows(pool, SHOWN)] == [
        *("old words", "oh", "from staff", "she sings", "our answer", "new"),
    ]
    assert await forget(pool, after(31)) == 1

    assert await rows(pool, SHOWN) == [
        *(("message", None), ("reaction", None), ("echo", None), ("comment", None), ("send", None), ("message", "new")),
    ]
    assert await traces(pool, "old words", "from staff", "she sings", "our answer") == []
    assert await counted(pool) == before
    assert await verified(pool, after(31)) == []
    assert await rows(pool, "SELECT display_name FROM sluice.contact_overview") == [("Ana",)]
    assert await rows(pool, PAGE, WORKSPACE, ana) == [
        *(("new",), *5 * [(None,)]),
    ]


async def test_dropped_messages_lose_it_even_in_quarantine(pool: Pool) -> None:
    await give(pool, ask("configure_workspace", set={"quarantine_days": 3_000, "message_retention_days": 30}))
    await ingest(pool, message(ANA))
    ana = await contact_of(pool, ANA)
    await give(pool, ask("block_contact", minutes=5, contact_id=ana))
    await ingest(pool, message(ANA, minutes=6, text="dropped words"))
    before = await counted(pool)

    await forget(pool, after(31))

    assert await traces(pool, "dropped words") == []
    assert await counted(pool) == before
    span: dict[str, Any] = {"from": at(0), "to": at(9)}
    [_, released] = await results(
        pool,
        ask("unblock_contact", minutes=32 * DAYS, contact_id=ana),
        ask("release_dropped", minutes=32 * DAYS + 1, contact_id=ana, **span),
    )
    assert released == {}
    assert await verified(pool, after(33)) == []


async def test_without_the_setting_nothing_goes_and_tenants_are_apart(pool: Pool) -> None:
    await ingest(pool, message(ANA), message(ANA, workspace_id="other"))
    assert await forget(pool, after(9_000)) == 0
    await keep(pool, 1, "other")
    await keep(pool, 1)
    await keep(pool, None, minutes=1)
    await forget(pool, after(9_000))
    assert await rows(pool, "SELECT workspace_id, body IS NULL FROM messages ORDER BY 1") == [
        *((WORKSPACE, False), ("other", True)),
    ]


async def test_a_shorter_time_takes_effect_at_once_and_a_pass_looks_only_at_what_is_new(pool: Pool) -> None:
    await keep(pool, 90)
    await ingest(pool, message(ANA, text="old"), message(ANA, minutes=80 * DAYS, text="new"))
    assert await forget(pool, after(95)) == 1
    assert await forget(pool, after(95.1)) == 0
    assert await forget(pool, after(95.3)) == 1
    assert await rows(pool, "SELECT since > '-infinity' FROM retention_passes") == [(True,)]
    await keep(pool, 10, minutes=95 * DAYS)
    assert await forget(pool, after(95.31)) == 1
    assert await rows(pool, SHOWN) == [("message", None), ("message", None)]
    # A whole pass comes by itself.
    async with pool.acquire() as tx:
        await tx.execute("UPDATE messages SET body = '{}'")
    assert await forget(pool, after(97)) == 1
    assert await rows(pool, "SELECT count(body) FROM messages") == [(2,)]
    assert await forget(pool, after(104)) == 1
    assert await rows(pool, "SELECT count(body) FROM messages") == [(0,)]


async def test_an_id_that_comes_again_is_still_a_repeat(pool: Pool) -> None:
    await keep(pool, 30)
    await ingest(pool, message(ANA))
    await forget(pool, after(31))
    assert await ingest(pool, message(ANA, partition=1), now=after(32)) == []
    assert await rows(pool, "SELECT times FROM sluice.message_conflicts") == []
    assert await ingest(pool, message(ANA, text="another"), now=after(32)) == []
    assert await rows(pool, "SELECT times FROM sluice.message_conflicts") == [(1,)]


async def test_what_comes_too_old_is_published_and_stored_without_content(pool: Pool) -> None:
    await keep(pool, 30)
    outputs = await ingest(pool, message(ANA, text="very late"), now=after(40))
    assert b"very late" in (outputs[0].event.value or b"")
    assert await rows(pool, SHOWN) == [("message", None)]
    assert await rows(pool, "SELECT active_contacts FROM sluice.mac_counts ORDER BY cycle_start LIMIT 1") == [(1,)]


async def test_a_late_block_and_unblock_of_what_has_no_content_any_more(pool: Pool) -> None:
    """The block drops it. No unblock brings it back, but it counts again, as what was never blocked."""
    await keep(pool, 30)
    await give(pool, ask("configure_workspace", set={"mac_block_effect": "immediate"}))
    await ingest(pool, message(ANA, text="old"))
    ana = await contact_of(pool, ANA)
    await forget(pool, after(31))

    blocked = await give(pool, ask("block_contact", minutes=-1, timestamp=after(32), contact_id=ana), now=after(32))
    assert said(blocked)[0]["messages_revised"] == 1
    assert await rows(pool, "SELECT counted FROM sluice.drop_ledger") == [(False,)]
    assert await verified(pool, after(32)) == []
    unblocked = ask("unblock_contact", minutes=-0.5, timestamp=after(33), contact_id=ana)
    assert said(await give(pool, unblocked, now=after(33)))[0]["messages_revised"] == 0
    assert await rows(pool, "SELECT counted FROM sluice.drop_ledger") == [(True,)]
    assert await rows(pool, SHOWN) == []
    assert await verified(pool, after(33)) == []


async def test_merged_and_parted_again_the_counts_are_those_of_messages_with_content(pool: Pool) -> None:
    await keep(pool, 30)
    await ingest(pool, message(ANA), message(BOB))
    ana, bob = await contact_of(pool, ANA), await contact_of(pool, BOB)
    await forget(pool, after(31))
    merge = uuid_of("merge")
    count = "SELECT active_contacts FROM sluice.mac_counts ORDER BY cycle_start LIMIT 1"
    await give(pool, ask("merge_contacts", command_id=merge, survivor_id=ana, loser_id=bob))
    assert await rows(pool, count) == [(1,)]
    assert len(await rows(pool, SHOWN)) == 2
    await give(pool, ask("undo_merge", minutes=1, merge_id=merge))
    assert await rows(pool, count) == [(2,)]
    assert await verified(pool, after(32)) == []


async def test_a_send_that_waits_keeps_its_content_until_it_ended(pool: Pool) -> None:
    await keep(pool, 1)
    await give(pool, ask("configure_workspace", set={"hold_ttl_hours": 80_000, "claim_ttl_hours": 80_000}))
    await send(pool, request("gone"), request("again"))
    await send(pool, receipt("failed", "again", **TEMPORARY))
    await forget(pool, after(31))
    assert await rows(pool, "SELECT count(*) FROM sends WHERE content::text = '{}'") == [(0,)]
    outputs = await repeat(pool, 32 * DAYS)
    assert [o.event.topic for o in outputs] == ["sends.status", "sends.dispatch"]


async def test_an_accepted_send_keeps_it_as_well_while_another_attempt_follows(pool: Pool) -> None:
    await keep(pool, 1)
    await send(pool, request())
    await send(pool, receipt("sent"))
    await send(pool, receipt("failed", minutes=21, **TEMPORARY))
    await forget(pool, after(31))
    assert [o.event.topic for o in await repeat(pool, 32 * DAYS)] == ["sends.status", "sends.dispatch"]
    await send(pool, receipt("sent", minutes=33 * DAYS, attempt=2))
    await forget(pool, after(40))
    assert await rows(pool, "SELECT count(*) FROM sends WHERE content::text <> '{}'") == [(0,)]


async def test_a_refused_send_loses_it_after_its_last_change(pool: Pool) -> None:
    await keep(pool, 30)
    await send(pool, request(channel="messenger", content={"type": "text", "text": "to nobody"}))
    assert await traces(pool, "to nobody") == ["sends.content: to nobody"]
    await forget(pool, after(31))
    assert await traces(pool, "to nobody") == []


async def test_receipts_of_a_send_without_content_are_taken_and_no_attempt_follows(pool: Pool) -> None:
    await keep(pool, 30)
    await send(pool, request("read"), request("failed"))
    await send(pool, receipt("sent", "read", provider_message_id="p1"), receipt("sent", "failed"))
    await forget(pool, after(31))
    assert await rows(pool, "SELECT count(*) FROM sends WHERE content::text = '{}'") == [(2,)]

    by_id = receipt("read", None, minutes=32 * DAYS, provider_message_id="p1")
    assert statuses(await send(pool, by_id)) == [("read", None)]
    assert statuses(await send(pool, receipt("failed", "failed", minutes=32 * DAYS, **TEMPORARY))) == [
        ("failed", "busy")
    ]
    assert await repeat(pool, 90 * DAYS) == []
    assert await traces(pool, "try later") == ["send_attempts.error_message: try later"]
    assert await verified(pool, after(32)) == []


async def test_an_unclear_send_can_be_settled_but_not_repeated(pool: Pool) -> None:
    await keep(pool, 30)
    await wrote(pool)
    await send(pool, request("s1"), request("s2"))
    await send(pool, receipt("ambiguous", "s1", **TEMPORARY), receipt("ambiguous", "s2"))
    await forget(pool, after(31))

    def settle(name: str, as_: str) -> Any:
        said_as: dict[str, Any] = {"as": as_}
        return ask("settle_send", minutes=32 * DAYS, send_id=uuid_of(name), **said_as)

    refused = await give(pool, settle("s1", "retry"))
    assert said(refused) == ["too_late"]
    assert "message_retention_days" in (details(refused)[0] or "")
    assert said(await give(pool, settle("s1", "sent"))) == [{"status": "sent"}]
    assert await standing(pool) == ("sent", None, 1)
    assert said(await give(pool, settle("s2", "failed"))) == [{"status": "failed"}]
    assert ("send", None) in await rows(pool, SHOWN)
    assert await rows(pool, "SELECT times FROM sluice.message_conflicts") == []
    assert await verified(pool, after(32)) == []


async def test_it_takes_many_bounded_steps_over_addresses_and_generations(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "_AT_ONCE", 3)
    monkeypatch.setattr(retention, "PEOPLE_AT_ONCE", 2)
    await keep(pool, 30)
    people = [f"+4915100000{number:03}" for number in range(7)]
    for generation in range(3):
        await ingest(pool, *(message(p, minutes=10 * generation + n % 2) for p in people for n in range(generation, 4)))
        async with pool.acquire() as tx, tx.transaction():
            await message_generations.open_next(tx, -1)
            await message_generations.seal(tx)
    await send(pool, *(request(f"s{n}", channel="messenger") for n in range(7)))
    before = await counted(pool)

    number = await forget(pool, after(31))

    assert await rows(pool, "SELECT count(*) FILTER (WHERE body IS NULL) = count(*), count(*) > 30 FROM messages") == [
        (True, True),
    ]
    assert await rows(pool, "SELECT count(*) FROM sends WHERE content::text <> '{}'") == [(0,)]
    assert number > 15
    assert await counted(pool) == before


async def test_a_step_waits_for_no_row_and_leaves_none_out(pool: Pool) -> None:
    await keep(pool, 30)
    await ingest(pool, *(message(ANA, minutes=n) for n in range(5)), message(BOB, minutes=9))
    async with pool.acquire() as other, other.transaction():
        await other.execute("SELECT FROM messages WHERE event_time = $1 FOR UPDATE", at(2))
        assert await forget(pool, after(31), 5) == 5
        assert await rows(
            pool, "SELECT event_time FROM messages WHERE body IS NOT NULL AND event_time <= $1", at(2)
        ) == [
            (at(2),),
        ]
    await forget(pool, after(31))
    assert await rows(pool, "SELECT count(body) FROM messages") == [(0,)]
    assert await rows(pool, "SELECT identity_id FROM retention_passes") == [(None,)]


@pytest.mark.parametrize("days", [0, -1, 3_651, "30", 1.5, True])
async def test_days_that_do_not_fit_are_refused(pool: Pool, days: Any) -> None:
    assert await results(pool, ask("configure_workspace", set={"message_retention_days": days})) == ["invalid"]


async def test_the_workers_login_may_do_all_of_it(pool: Pool) -> None:
    await keep(pool, 30)
    await ingest(pool, message(ANA))
    async with pool.acquire() as tx, tx.transaction():
        await tx.execute("SET LOCAL ROLE sluice_worker")
        await job.erase(tx, after(31))
        await job.erase(tx, after(31) + timedelta(hours=7))
    assert await rows(pool, "SELECT count(body) FROM messages") == [(0,)]
