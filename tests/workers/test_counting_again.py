"""What a billing job can answer alone: a recount, and why a contact is on the bill."""

from datetime import UTC, datetime
from typing import Any, Final

import pytest
from asyncpg import InsufficientPrivilegeError, Pool

from tests.support.documented import statement, statements
from tests.workers.asking import ask, give
from tests.workers.ingesting import blocks, ingest, rows
from tests.workers.records import DAY, WORKSPACE, at, message
from tests.workers.sending import receipt, request, send
from workers.billing import cycles
from workers.messages import releasing
from workers.store import contacts, messages

MONTH: Final = 31 * 24 * 60
MARCH, APRIL = (datetime(2026, month, 1, tzinfo=UTC) for month in (3, 4))
ANA, BOB, EVE, TOM = (f"+49151123456{n}" for n in (10, 11, 12, 13))


async def as_billing(pool: Pool, sql: str) -> list[dict[str, Any]]:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL ROLE sluice_billing")
        return [dict(row) for row in await connection.fetch(sql)]


async def counted(pool: Pool) -> list[tuple[datetime, int]]:
    return [tuple(r) for r in await rows(pool, "SELECT cycle_start, active_contacts FROM mac_counts ORDER BY 1")]


async def counted_again(pool: Pool) -> list[tuple[datetime, int]]:
    found = await as_billing(pool, statement("billing.md", "Count again"))
    return [(row["cycle_start"], row["counted_again"]) for row in found]


async def explained(pool: Pool, cycle: datetime = MARCH, address: str = "") -> list[tuple[bool, str]]:
    """As billing reads it, the proof first, once every month up to April has its row."""
    async with pool.acquire() as tx, tx.transaction():
        await cycles.add_cycles(tx, at(MONTH))
    who = "SELECT contact_id FROM identities WHERE $1 IN ('', lookup)"
    [(contact_id,)] = await rows(pool, who, address)
    found = await as_billing(pool, f"SELECT * FROM sluice.explain_mac('{WORKSPACE}', '{cycle}', '{contact_id}')")  # noqa: S608
    return [(row["counted"], row["explanation"]) for row in found]


PROOF = "; it is the proof, the earliest that counts in this cycle"
BY_BLOCK = "dropped by the block of 2026-03-10T00:10:00Z: "


@pytest.mark.parametrize("title", sorted(statements("billing.md")))
async def test_every_statement_of_the_page_is_billings_to_make(pool: Pool, title: str) -> None:
    await ingest(pool, message())
    await as_billing(pool, statement("billing.md", title))


@pytest.mark.parametrize("view", ["contact_overview", "conversation_messages", "audit_log", "workspace_settings"])
async def test_billing_reads_nothing_of_what_was_said_and_by_whom(pool: Pool, view: str) -> None:
    with pytest.raises(InsufficientPrivilegeError):
        await as_billing(pool, f"SELECT * FROM sluice.{view}")  # noqa: S608


async def test_the_count_is_made_again_with_sends_echoes_and_settings_of_each_cycle(pool: Pool) -> None:
    sends = [request(n, to=to, source=source) for n, to, source in
             (("s1", ANA, "broadcast"), ("s2", BOB, "inbox"), ("s3", EVE, "broadcast"))]  # fmt: skip
    await send(pool, *sends)
    await send(pool, receipt("sent", "s1"), receipt("delivered", "s2"), receipt("failed", "s3"))
    await send(pool, receipt("read", "s3", minutes=MONTH))
    await ingest(pool, message(EVE, kind="reaction"), message(TOM, kind="echo", minutes=5))
    await ingest(pool, message(TOM, minutes=MONTH, channel="sms"), message(ANA, kind="reaction", minutes=MONTH))
    assert await counted(pool) == await counted_again(pool) == [(MARCH, 4), (APRIL, 3)]

    for given in (
        ask("configure_workspace", minutes=1, set={"count_broadcasts": False, "count_reactions": True}),
        ask("configure_workspace", minutes=2, set={"count_broadcasts": True, "count_reactions": False}),
        ask("configure_channel", minutes=3, channel_id="sms-main", channel="sms", count=False),
    ):
        await give(pool, given, now=at(MONTH))
    # March: bob's send, eve's reaction, tom's echo; April: eve's broadcast
    assert await counted(pool) == await counted_again(pool) == [(MARCH, 3), (APRIL, 1)]

    proofs = "SELECT contact_id, kind, source, counted FROM mac_proofs WHERE kind = 'send' ORDER BY event_time, source"
    assert [row[1:] for row in await rows(pool, proofs)] == [
        ("send", "broadcast", False),
        ("send", "inbox", True),
        ("send", "broadcast", True),
    ]


async def test_a_proof_stays_when_the_content_goes(pool: Pool) -> None:
    await ingest(pool, message())
    await blocks(pool, (10, None))
    await ingest(pool, message(minutes=11))
    before = await rows(pool, "SELECT * FROM mac_proofs ORDER BY event_time")
    async with pool.acquire() as tx, tx.transaction():
        assert await messages.erase(tx, at(MONTH), 100) == 1
    assert await rows(pool, "SELECT * FROM mac_proofs ORDER BY event_time") == before
    assert len(before) == 2


async def test_a_message_that_counts_though_a_block_dropped_it_says_both(pool: Pool) -> None:
    await ingest(pool, message(minutes=5))
    await blocks(pool, (10, None))
    await ingest(pool, message(minutes=11), message(minutes=MONTH))

    assert await explained(pool) == [
        (True, f"accepted: counts{PROOF}"),
        (True, f"{BY_BLOCK}counts, as that block began in this cycle (mac_block_effect = next_cycle)"),
    ]
    assert await explained(pool, APRIL) == [
        (False, f"{BY_BLOCK}does not count, as that block began before this cycle (mac_block_effect = next_cycle)")
    ]


async def test_a_proof_that_a_block_dropped_says_so(pool: Pool) -> None:
    await ingest(pool, message(minutes=5 - MONTH))
    await blocks(pool, (10, None))
    await ingest(pool, message(minutes=11))
    assert await explained(pool) == [
        (True, f"{BY_BLOCK}counts, as that block began in this cycle (mac_block_effect = next_cycle){PROOF}")
    ]


async def test_a_block_that_begins_with_the_cycle_is_in_it(pool: Pool) -> None:
    await give(pool, ask("configure_workspace", set={"anchor_day": 10}))
    await ingest(pool, message(minutes=-60))
    await blocks(pool, (0, None))
    await ingest(pool, message(minutes=11))
    [(counts, text)] = await explained(pool, DAY)
    assert counts
    assert text.startswith("dropped by the block of 2026-03-10T00:00:00Z: counts, as that block began in this cycle")


async def test_with_immediate_effect_it_says_so(pool: Pool) -> None:
    await give(pool, ask("configure_workspace", set={"mac_block_effect": "immediate"}))
    await ingest(pool, message(minutes=-MONTH))
    await blocks(pool, (10, None))
    await ingest(pool, message(minutes=11))
    assert await explained(pool) == [(False, f"{BY_BLOCK}does not count (mac_block_effect = immediate)")]


async def test_released_erased_and_staffs_messages_say_what_they_are(pool: Pool) -> None:
    await ingest(pool, message(minutes=-MONTH))
    await blocks(pool, (10, 20))
    await ingest(pool, message(minutes=11), message(minutes=12), message(minutes=13, kind="echo"))
    async with pool.acquire() as tx, tx.transaction():
        [key] = [tuple(row) for row in await tx.fetch("SELECT workspace_id, contact_id FROM contacts")]
        contact = (await contacts.lock_for_update(tx, [key]))[key]
        asked = releasing.Release(ask("add_tag").value.command_id, contact, message(), from_=at(11), to=at(12))
        await releasing.release_dropped(tx, [asked], DAY)
    async with pool.acquire() as tx, tx.transaction():
        assert await messages.erase(tx, at(MONTH), 100) == 1
    assert [text for _, text in await explained(pool)] == [
        f"accepted, as a person released it: counts{PROOF}",
        f"{BY_BLOCK}counts, as that block began in this cycle (mac_block_effect = next_cycle)",
        "accepted, but to a contact blocked since 2026-03-10T00:10:00Z: does not count",
    ]
    await blocks(pool, command="taken back")
    texts = {text for _, text in await explained(pool)}
    assert "dropped, as its content was erased before the block was lifted: counts" in texts


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (
            ask("configure_channel", channel_id="whatsapp-main", channel="whatsapp", count=False),
            "does not count, as its channel does not (count = false)",
        ),
        (
            ask("configure_workspace", set={"count_reactions": False}),
            "does not count, as no reaction does (count_reactions = false)",
        ),
    ],
    ids=["channel", "reactions"],
)
async def test_a_setting_that_keeps_a_message_out_is_named(pool: Pool, given: Any, why: str) -> None:
    await give(pool, given)
    await ingest(pool, message(minutes=5, kind="reaction"))
    assert await explained(pool) == [(False, f"accepted: {why}")]
    await blocks(pool, (1, None))
    # the block is not the reason
    assert await explained(pool) == [(False, f"dropped by the block of 2026-03-10T00:01:00Z: {why}")]


async def test_a_broadcast_that_does_not_count_says_so(pool: Pool) -> None:
    await give(pool, ask("configure_workspace", set={"count_broadcasts": False}))
    await send(pool, request(source="broadcast"))
    await send(pool, receipt("sent"))
    assert await explained(pool) == [
        (False, "accepted: does not count, as no broadcast does (count_broadcasts = false)")
    ]


async def verdict(pool: Pool, contact_id: object, cycle: datetime = MARCH) -> tuple[bool, str, object]:
    """What is said of a contact, which every row repeats."""
    query = (
        f"SELECT DISTINCT active, verdict, counted_as FROM sluice.explain_mac('{WORKSPACE}', '{cycle}', '{contact_id}')"  # noqa: S608
    )
    [row] = await as_billing(pool, query)
    return row["active"], row["verdict"], row["counted_as"]


async def test_a_contact_is_told_in_one_sentence_that_names_every_rule(pool: Pool) -> None:
    await give(
        pool,
        ask("configure_workspace", set={"count_reactions": False, "count_broadcasts": False}),
        ask("configure_channel", channel_id="test", channel="whatsapp", count=False),
    )
    await ingest(
        pool,
        message(ANA, minutes=5, kind="reaction"),
        message(ANA, minutes=6, channel_id="test"),
        message(BOB, minutes=7, kind="echo"),
        message(EVE, minutes=MONTH),
        message(TOM, minutes=-MONTH),
    )
    await send(pool, request("s1", to=ANA, source="broadcast"))
    await send(pool, receipt("sent", "s1"))
    await blocks(pool, (1 - MONTH, None), address=TOM)
    await ingest(pool, message(TOM, minutes=8), message(TOM, minutes=9), message(TOM, minutes=10, kind="echo"))
    ids = dict(await rows(pool, "SELECT lookup, contact_id FROM identities"))

    none = "not counted: no message of its 3 in this cycle counts: "
    switched_off = (
        "1 as no broadcast counts (count_broadcasts = false), 1 as no reaction counts (count_reactions = false)"
    )
    assert await verdict(pool, ids[ANA]) == (
        False,
        f"{none}{switched_off}, 1 on a test channel (count = false)",
        ids[ANA],
    )
    assert await verdict(pool, ids[BOB]) == (True, "counted, by the message of staff of 2026-03-10T00:07:00Z", ids[BOB])
    assert await verdict(pool, ids[EVE]) == (False, "not counted: none of its messages lies in this cycle", ids[EVE])
    blocked = "2 dropped by a block that began before this cycle, 1 by staff, while the contact was blocked"
    assert await verdict(pool, ids[TOM]) == (False, none + blocked, ids[TOM])
    assert await rules(pool, ids[TOM]) == ["blocked_before", "blocked_before", "echo_to_blocked"]
    assert await rules(pool, ids[EVE]) == ["not_in_cycle"]
    assert await as_billing(pool, f"SELECT * FROM sluice.explain_mac('acme', '{MARCH}', gen_random_uuid())") == []  # noqa: S608


async def rules(pool: Pool, contact_id: object) -> list[str]:
    query = f"SELECT rule FROM sluice.explain_mac('{WORKSPACE}', '{MARCH}', '{contact_id}')"  # noqa: S608
    return [row["rule"] for row in await as_billing(pool, query)]


async def test_merged_and_deleted_contacts_are_explained_as_whom_they_count(pool: Pool) -> None:
    await ingest(pool, message(ANA, minutes=5), message(BOB, minutes=6), message(EVE, minutes=7))
    ids = dict(await rows(pool, "SELECT lookup, contact_id FROM identities"))
    ana, bob, eve = (ids[who] for who in (ANA, BOB, EVE))
    await give(pool, ask("merge_contacts", minutes=20, survivor_id=ana, loser_id=bob))

    by_ana = "counted, by the message of 2026-03-10T00:05:00Z"
    merged = f"; it was merged into {ana} and is the same contact"
    assert await verdict(pool, ana) == (True, by_ana, ana)
    assert await verdict(pool, bob) == (True, by_ana + merged, ana)
    assert await rules(pool, bob) == ["proof", "counted"]

    # A closed cycle keeps who was counted.
    await pool.execute("UPDATE mac_cycles SET status = 'closed', closed_at = cycle_end")
    own = (
        "INSERT INTO mac_contacts SELECT workspace_id, cycle_start, $1, first_message_id, $2 FROM mac_contacts LIMIT 1"
    )
    await pool.execute(own, bob, at(6))
    kept = f"; it was merged into {ana} after this cycle had closed"
    assert await verdict(pool, bob) == (True, f"counted, by the message of 2026-03-10T00:06:00Z{kept}", bob)
    await pool.execute("DELETE FROM mac_contacts WHERE contact_id = $1", bob)
    await pool.execute("UPDATE mac_cycles SET status = 'open', closed_at = NULL")

    await give(pool, ask("delete_contacts", minutes=30, contact_ids=[ana, eve], expected_count=2), now=at(40))
    deleted = "; it was deleted, which lowers no count"
    assert await verdict(pool, ana) == (True, by_ana + deleted, ana)
    assert await verdict(pool, bob) == (True, by_ana + merged + deleted, ana)
    assert await verdict(pool, eve) == (True, f"counted, by the message of 2026-03-10T00:07:00Z{deleted}", eve)
