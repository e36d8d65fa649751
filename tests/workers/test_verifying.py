"""Counting again finds whatever was changed by hand, and nothing where nothing was."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from asyncpg import Pool

from tests.workers.asking import ask, by_phone, give
from tests.workers.closing_cycles import applied_past, close
from tests.workers.erasing import erase
from tests.workers.ingesting import ingest, rows
from tests.workers.records import at, message
from tests.workers.sending import receipt, request, send
from tests.workers.verified import differences, verified
from workers.billing import cycles
from workers.store.connection import Connection

DAY_MINUTES: Final = 24 * 60
MONTH: Final = 31 * DAY_MINUTES
NOW: Final = at(3 * MONTH)
ANA, BOB, EVE, TOM, ZOE, MAX, IDA = (f"+491511234561{n}" for n in range(7))


@asynccontextmanager
async def undone(pool: Pool) -> AsyncIterator[Connection]:
    """A transaction that is rolled back."""
    async with pool.acquire() as tx:
        transaction = tx.transaction()
        await transaction.start()
        try:
            yield tx
        finally:
            await transaction.rollback()


async def lived(pool: Pool) -> None:
    """Three months with every rule that decides whether a message counts, and everything that leaves proofs only."""
    for given in (
        ask(
            "configure_workspace", minutes=-DAY_MINUTES, set={"count_reactions": True, "mac_block_effect": "next_cycle"}
        ),
        ask("configure_workspace", minutes=1, set={"count_reactions": False, "count_broadcasts": False}),
        ask("configure_channel", minutes=2, channel_id="test", channel="whatsapp", count=True),
        ask("configure_channel", minutes=3, channel_id="test", channel="whatsapp", count=False),
        ask("configure_workspace", minutes=MONTH, set={"mac_block_effect": "immediate", "count_broadcasts": True}),
        ask("configure_workspace", minutes=MONTH, set={"anchor_day": 3, "time_zone": "Asia/Kathmandu"}),
        ask("configure_workspace", minutes=MONTH + 9, set={"anchor_day": 20}),
    ):
        await give(pool, given, now=at(MONTH))
    for month in range(3):
        start = month * MONTH
        await ingest(pool, *(message(who, minutes=start + n) for who in (ANA, BOB, TOM) for n in (0, 5)))
        await ingest(pool, message(EVE, kind="reaction", minutes=start), message(ZOE, channel_id="test", minutes=start))
        await ingest(pool, message(MAX, kind="echo", minutes=start), message(IDA, minutes=start))
        sends = [request(f"{who}{month}", to=who, source=source, minutes=start)
                 for who, source in ((EVE, "broadcast"), (ZOE, "inbox"))]  # fmt: skip
        await send(pool, *sends)
        await send(pool, *(receipt("delivered", f"{who}{month}", minutes=start + 7) for who in (EVE, ZOE)))
    await give(pool, ask("block_contact", minutes=-5, identity=by_phone(BOB)), now=NOW)
    await give(pool, ask("unblock_contact", minutes=MONTH + 2, identity=by_phone(BOB)), now=NOW)
    await give(pool, ask("block_contact", minutes=MONTH - 20, identity=by_phone(MAX)), now=NOW)
    [(ana,), (tom,), (ida,)] = [
        (await rows(pool, "SELECT contact_id FROM identities WHERE lookup = $1", who))[0] for who in (ANA, TOM, IDA)
    ]
    await give(pool, ask("merge_contacts", minutes=9, survivor_id=str(ana), loser_id=str(tom)), now=NOW)
    await give(pool, ask("delete_contacts", module="contacts", contact_ids=[str(ida)], expected_count=1), now=NOW)
    await erase(pool)
    async with pool.acquire() as tx, tx.transaction():
        await cycles.add_cycles(tx, NOW)
        await cycles.sum_quarters(tx, NOW)
    await ingest(pool, message("+4915112345699", minutes=2 * MONTH))  # a quarter that is not summed up yet


TAMPERED: Final = """
-- a row goes: contact, count
DELETE FROM mac_contacts
WHERE ctid = (SELECT min(ctid) FROM mac_contacts)
-- a row comes: contact, count
INSERT INTO mac_contacts SELECT workspace_id, cycle_start, gen_random_uuid(), first_message_id, first_counted_at
FROM mac_contacts LIMIT 1
-- a row names another contact: contact
UPDATE mac_contacts SET contact_id = gen_random_uuid()
WHERE ctid = (SELECT min(ctid) FROM mac_contacts)
-- a row goes to another cycle: contact, count, cycle
UPDATE mac_contacts SET cycle_start = '2026-07-01'
WHERE ctid = (SELECT min(ctid) FROM mac_contacts)
-- a proof is another message: contact
UPDATE mac_contacts SET first_message_id = gen_random_uuid()
WHERE ctid = (SELECT min(ctid) FROM mac_contacts)
-- a proof is later: contact
UPDATE mac_contacts SET first_counted_at = first_counted_at + interval '1 us'
WHERE ctid = (SELECT min(ctid) FROM mac_contacts)
-- a shard counts more: count
UPDATE mac_shards SET active_contacts = active_contacts + 1
WHERE ctid = (SELECT min(ctid) FROM mac_shards)
-- a shard goes: count
DELETE FROM mac_shards
WHERE ctid = (SELECT ctid FROM mac_shards WHERE active_contacts > 0 LIMIT 1)
-- a shard comes: count
INSERT INTO mac_shards SELECT workspace_id, cycle_start, 'mine', 1
FROM mac_shards LIMIT 1
-- a shard of no cycle: cycle
INSERT INTO mac_shards
VALUES ('acme', '2020-01-01', 'mine', 1)
-- a cycle goes: cycle
DELETE FROM mac_cycles
WHERE cycle_start = (SELECT min(cycle_start) FROM mac_cycles)
-- a cycle comes: cycle
INSERT INTO mac_cycles
VALUES ('acme', '2026-03-17', '2026-04-17')
-- a cycle is longer: cycle
UPDATE mac_cycles SET cycle_end = cycle_end + interval '1 us'
WHERE cycle_start = (SELECT max(cycle_start) FROM mac_cycles)
-- a cycle is closed: cycle
UPDATE mac_cycles SET status = 'closed'
WHERE cycle_start = (SELECT max(cycle_start) FROM mac_cycles)
-- a cycle was closed: cycle
UPDATE mac_cycles SET closed_at = now()
WHERE cycle_start = (SELECT max(cycle_start) FROM mac_cycles)
-- a quarter counts more: quarter
UPDATE mac_quarters SET active_contacts = active_contacts + 1
WHERE ctid = (SELECT min(ctid) FROM mac_quarters)
-- a quarter goes: quarter
DELETE FROM mac_quarters
WHERE NOT summed
-- a quarter comes: quarter
INSERT INTO mac_quarters SELECT workspace_id, cycle_start, quarter + interval '15 minutes', 1
FROM mac_quarters LIMIT 1
-- an adjustment comes: adjustments
INSERT INTO mac_adjustments (workspace_id, cycle_start, contact_id, amount, cause)
SELECT workspace_id, cycle_start, contact_id, -1, 'late_block'
FROM mac_contacts LIMIT 1
-- an adjustment of no cycle: cycle
INSERT INTO mac_adjustments (workspace_id, cycle_start, contact_id, amount, cause)
VALUES ('acme', '2020-01-01', gen_random_uuid(), 1, 'late_block')
-- a message counts: message
UPDATE messages SET counted = true
WHERE message_id = (SELECT message_id FROM messages WHERE NOT counted LIMIT 1)
-- a message does not count: message
UPDATE messages SET counted = false
WHERE message_id = (SELECT message_id FROM messages WHERE counted LIMIT 1)
-- a proof's message is of another time: contact
UPDATE messages SET event_time = event_time + interval '1 us'
WHERE message_id = (SELECT first_message_id FROM mac_contacts LIMIT 1)
-- a message is of another cycle: contact
UPDATE messages SET event_time = event_time + interval '70 days'
WHERE message_id = (SELECT message_id FROM messages WHERE kind = 'echo' ORDER BY event_time LIMIT 1)
-- a message is of no cycle: contact
UPDATE messages SET event_time = '2001-01-01'
WHERE message_id = (
    SELECT m.message_id FROM messages m LEFT JOIN mac_contacts p ON p.first_message_id = m.message_id
    WHERE p.contact_id IS NULL AND m.kind = 'message' AND m.counted LIMIT 1
)
-- a proof's message goes: contact
DELETE FROM messages
WHERE message_id = (SELECT first_message_id FROM mac_contacts LIMIT 1)
"""
"""Changes by hand, each after a line that tells what is different then."""


async def each_is_found(pool: Pool, changes: str) -> None:
    for change in changes.split("-- ")[1:]:
        head, statement = change.split("\n", 1)
        title, expected = head.split(": ")
        async with undone(pool) as tx:
            assert await tx.execute(statement) in {"UPDATE 1", "DELETE 1", "INSERT 0 1"}, title
            assert {d.what for d in await differences(tx, NOW)} == set(expected.split(", ")), title


async def test_whatever_is_changed_by_hand_is_found(pool: Pool) -> None:
    await lived(pool)
    assert await verified(pool, NOW) == []
    assert await verified(pool, NOW, at_once=1) == []
    await each_is_found(pool, TAMPERED)


CLOSED: Final = """
-- a row goes: closed count, contact, count
DELETE FROM mac_contacts WHERE contact_id = '@ANA@' AND cycle_start = '2026-03-01'
-- a row and its count go: closed count, contact
WITH gone AS (DELETE FROM mac_contacts WHERE contact_id = '@ANA@' AND cycle_start = '2026-03-01')
UPDATE mac_shards SET active_contacts = active_contacts - 1
WHERE ctid = (SELECT ctid FROM mac_shards WHERE cycle_start = '2026-03-01' AND active_contacts > 0 LIMIT 1)
-- a row comes: closed count, contact, count
INSERT INTO mac_contacts
SELECT workspace_id, cycle_start, gen_random_uuid(), first_message_id, first_counted_at
FROM mac_contacts WHERE cycle_start = '2026-03-01' LIMIT 1
-- a row of a merged one goes: closed count, contact, count
DELETE FROM mac_contacts WHERE contact_id = '@TOM@' AND cycle_start = '2026-03-01'
-- a proof is no message: contact
UPDATE mac_contacts SET first_message_id = gen_random_uuid() WHERE contact_id = '@ANA@' AND cycle_start = '2026-03-01'
-- a proof is of another time: contact
UPDATE mac_contacts SET first_counted_at = first_counted_at + interval '1 us'
WHERE contact_id = '@ANA@' AND cycle_start = '2026-03-01'
-- a proof's message goes: contact
DELETE FROM messages WHERE message_id = (
    SELECT first_message_id FROM mac_contacts WHERE contact_id = '@ANA@' AND cycle_start = '2026-03-01'
)
-- an adjustment goes: contact
DELETE FROM mac_adjustments WHERE contact_id = '@BOB@'
-- an adjustment of a merged one goes: contact
DELETE FROM mac_adjustments WHERE contact_id = '@TOM@'
-- an adjustment comes: contact
INSERT INTO mac_adjustments (workspace_id, cycle_start, contact_id, amount, cause, fact_id)
VALUES ('acme', '2026-03-01', '@ANA@', -1, 'late_block', 'mine')
-- an adjustment of nobody comes: contact
INSERT INTO mac_adjustments (workspace_id, cycle_start, contact_id, amount, cause, fact_id)
VALUES ('acme', '2026-03-01', gen_random_uuid(), 1, 'late_message', 'mine')
-- an adjustment is another contact's: contact
UPDATE mac_adjustments SET contact_id = '@ANA@' WHERE contact_id = '@BOB@'
-- an adjustment is another cycle's: adjustments, contact
UPDATE mac_adjustments SET cycle_start = '2026-04-01' WHERE contact_id = '@BOB@'
-- an adjustment is greater: contact
UPDATE mac_adjustments SET amount = amount * 2 WHERE contact_id = '@BOB@'
-- the closed figure is another: closed count
UPDATE mac_cycles SET closed_contacts = closed_contacts + 1 WHERE cycle_start = '2026-03-01'
-- the closed figure goes: cycle
UPDATE mac_cycles SET closed_contacts = NULL WHERE cycle_start = '2026-03-01'
-- the time of closing goes: cycle
UPDATE mac_cycles SET closed_at = NULL WHERE cycle_start = '2026-03-01'
-- it is open again: adjustments, contact, cycle
UPDATE mac_cycles SET status = 'open' WHERE cycle_start = '2026-03-01'
-- the row of the cycle goes: adjustments, contact, cycle
DELETE FROM mac_cycles WHERE cycle_start = '2026-03-01'
-- a message counts: message
UPDATE messages SET counted = true WHERE message_id = (
    SELECT m.message_id FROM messages m JOIN identities i USING (identity_id)
    WHERE i.contact_id = '@BOB@' AND NOT m.counted AND event_time < '2026-04-01' LIMIT 1
)
"""


async def closed(pool: Pool) -> dict[str, str]:
    """A closed month with late facts of every sign: a block, a message, a merge; the ids of its people."""
    end = 22 * DAY_MINUTES
    late = at(end + 100 * 60)
    await ingest(pool, *(message(who, minutes=n) for n, who in enumerate((ANA, BOB, EVE, TOM, MAX))))
    await give(pool, ask("configure_workspace", minutes=1, set={"mac_block_effect": "immediate"}))
    await ingest(pool, message(ZOE, minutes=end + 9))
    ids = dict(await rows(pool, "SELECT lookup, contact_id FROM identities"))
    await applied_past(pool, at(end + 80 * 60))
    await close(pool)
    merge = ask("merge_contacts", minutes=2, timestamp=late, survivor_id=str(ids[EVE]), loser_id=str(ids[TOM]))
    await give(pool, ask("block_contact", minutes=-9, timestamp=late, identity=by_phone(BOB)), merge, now=late)
    await ingest(pool, message(IDA, minutes=end - 5, late_minutes=100 * 60), now=late)
    await close(pool)
    return {name: str(ids[who]) for name, who in (("ANA", ANA), ("BOB", BOB), ("EVE", EVE), ("TOM", TOM))}


async def test_what_is_still_counted_again_is_no_difference(pool: Pool) -> None:
    await ingest(pool, message(ANA), message(BOB), message(EVE))
    ids = dict(await rows(pool, "SELECT lookup, contact_id FROM identities"))
    await give(pool, ask("merge_contacts", survivor_id=str(ids[BOB]), loser_id=str(ids[EVE])))
    await close(pool)  # when cycles close is known
    await pool.execute("DELETE FROM mac_contacts")
    left = "INSERT INTO pending_work (workspace_id, kind, subject, command_id, details, total)"
    for who in (ANA, BOB):
        await pool.execute(
            f"{left} VALUES ('acme', 'count a contact again', $1, gen_random_uuid(), '{{}}', 1)", str(ids[who])
        )
    assert {d.what for d in await verified(pool, NOW)} == {"count"}
    await pool.execute("DELETE FROM pending_work WHERE subject = $1", str(ids[BOB]))
    assert [d.contact_id for d in await verified(pool, NOW) if d.what == "contact"] == [ids[BOB]]


async def test_what_a_division_of_months_leaves_is_no_difference(pool: Pool) -> None:
    await ingest(pool, message(ANA))
    await give(pool, ask("configure_workspace", set={"anchor_day": 5}))
    assert await verified(pool, NOW) == []
    async with pool.acquire() as tx, tx.transaction():
        await cycles.sum_quarters(tx, NOW)
    assert await verified(pool, NOW) == []


async def test_what_is_changed_by_hand_in_a_closed_cycle_is_found(pool: Pool) -> None:
    ids = await closed(pool)
    figures = "SELECT status, active_contacts, adjustments FROM sluice.mac_counts ORDER BY cycle_start LIMIT 1"
    assert await rows(pool, figures) == [("closed", 5, -1)]
    assert await verified(pool, NOW) == []
    statements = re.sub("@([A-Z]+)@", lambda name: ids[name[1]], CLOSED)
    await each_is_found(pool, statements)
    # What deletion leaves of them proves the same.
    gone = [ids["ANA"], ids["BOB"], ids["EVE"]]
    await give(pool, ask("delete_contacts", module="contacts", contact_ids=gone, expected_count=3), now=NOW)
    await erase(pool)
    assert await verified(pool, NOW) == []
