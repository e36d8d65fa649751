"""Counting again finds whatever was changed by hand, and nothing where nothing was."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

from asyncpg import Pool

from tests.workers.asking import ask, by_phone, give
from tests.workers.erasing import erase
from tests.workers.ingesting import ingest, rows
from tests.workers.records import WORKSPACE, at, message
from tests.workers.sending import receipt, request, send
from workers.billing import cycles, verifying
from workers.rules.verifying import Difference
from workers.store.connection import Connection

DAY_MINUTES: Final = 24 * 60
MONTH: Final = 31 * DAY_MINUTES
NOW: Final = at(3 * MONTH)
MARCH, APRIL, MAY = (datetime(2026, month, 1, tzinfo=UTC) for month in (3, 4, 5))
ANA, BOB, EVE, TOM, ZOE, MAX, IDA = (f"+491511234561{n}" for n in range(7))


async def differences(tx: Connection, cycle: datetime | None = None, at_once: int = 1_000) -> list[Difference]:
    """All differences, as billing finds them."""
    await tx.execute("SET LOCAL ROLE sluice_billing")
    scope = await verifying.scope(tx, WORKSPACE, cycle, NOW)
    found = [d for start in scope.starts for d in await verifying.verify_cycle(tx, scope, start, 100)]
    first = verifying.FIRST_CONTACT
    while first is not None:
        more, first = await verifying.verify_contacts(tx, scope, first, at_once, 100)  # type: ignore[assignment]
        found += more
    await tx.execute("RESET ROLE")
    return found


async def of(pool: Pool, **options: Any) -> list[Difference]:
    async with pool.acquire() as tx, tx.transaction():
        return await differences(tx, **options)


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
-- a row goes: contact count
DELETE FROM mac_contacts
WHERE ctid = (SELECT min(ctid) FROM mac_contacts)
-- a row comes: contact count
INSERT INTO mac_contacts SELECT workspace_id, cycle_start, gen_random_uuid(), first_message_id, first_counted_at
FROM mac_contacts LIMIT 1
-- a row names another contact: contact
UPDATE mac_contacts SET contact_id = gen_random_uuid()
WHERE ctid = (SELECT min(ctid) FROM mac_contacts)
-- a row goes to another cycle: contact count cycle
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


async def test_whatever_is_changed_by_hand_is_found(pool: Pool) -> None:
    await lived(pool)
    assert await of(pool) == []
    assert await of(pool, at_once=1) == []
    for tampered in TAMPERED.split("-- ")[1:]:
        head, statement = tampered.split("\n", 1)
        title, expected = head.split(": ")
        async with undone(pool) as tx:
            assert await tx.execute(statement) in {"UPDATE 1", "DELETE 1", "INSERT 0 1"}, title
            assert {d.what for d in await differences(tx)} == set(expected.split()), title


async def test_what_a_division_of_months_leaves_is_no_difference(pool: Pool) -> None:
    await ingest(pool, message(ANA))
    await give(pool, ask("configure_workspace", set={"anchor_day": 5}))
    assert await of(pool) == []
    async with pool.acquire() as tx, tx.transaction():
        await cycles.sum_quarters(tx, NOW)
    assert await of(pool) == []
