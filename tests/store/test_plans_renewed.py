"""Statements that were first used on empty tables."""

from typing import Final
from uuid import uuid4

from asyncpg import Pool

from tests.workers.records import batch, message
from workers.messages import worker as inbound
from workers.records import Advance, Fingerprint, Partition, PartitionStep
from workers.runtime.ledger import PostgresLedger
from workers.runtime.ports import Effects
from workers.store.connection import Connection

HERE: Final = Partition("messages.inbound", 0)
ADDED: Final = 20


async def test_a_table_that_grows_under_a_worker_is_soon_read_by_its_index(pool: Pool) -> None:
    await pool.execute("CREATE TABLE grown (id uuid PRIMARY KEY, text text)")
    # As in the first minute of an installation: nobody has gathered statistics.
    await pool.execute("ALTER TABLE grown SET (autovacuum_enabled = off)")
    ledger = PostgresLedger(pool, "sluice-book", "me")
    await ledger.open()
    await ledger.take(1, HERE)

    for n in range(200):
        await ledger.transact([step(n)], look_up_and_add, ())
    before = await pool.fetchval(SCANS)
    for n in range(200, 220):
        await ledger.transact([step(n)], look_up_and_add, ())

    assert await pool.fetchval(SCANS) == before
    await ledger.close()


async def test_statements_inside_functions_are_planned_anew_as_well(pool: Pool) -> None:
    """The functions of the message path, first used when there was no message and nobody to write one."""
    for table in GROWN:
        await pool.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
    ledger = PostgresLedger(pool, "sluice-book", "me")
    await ledger.open()
    try:
        await ledger.take(1, HERE)
        for n in range(300):
            await ledger.transact([step(n)], ingest, ())
        before = await pool.fetch(SCANS_OF_ALL, GROWN)
        for n in range(300, 320):
            await ledger.transact([step(n)], ingest, ())
        assert await pool.fetch(SCANS_OF_ALL, GROWN) == before
    finally:
        await ledger.close()


# Each connection tells its counts once a second at most, unless it is told to.
SCANS: Final = "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'grown'"
GROWN: Final = ("contact_locks", "contacts", "identities", "message_fingerprints", "messages")
SCANS_OF_ALL: Final = "SELECT relname, seq_scan FROM pg_stat_user_tables WHERE relname = ANY($1) ORDER BY relname"


def step(n: int) -> PartitionStep:
    return PartitionStep(HERE, n or None, n + 1, Fingerprint(n, 0, 0))


async def ingest(tx: Connection, advance: Advance) -> Effects:
    """Some who wrote before, and some who never did."""
    known = await tx.fetchval("SELECT max(identity_id) FROM identities WHERE workspace_id = 'acme'") or 0
    said = [message(f"+4915112{max(known + n, 0):06}", provider_message_id=str(uuid4())) for n in range(-5, ADDED)]
    await inbound.apply(tx, batch(*said, now=advance.now))
    await tx.execute("SELECT pg_stat_force_next_flush()")
    return Effects((), ())


async def look_up_and_add(tx: Connection, _advance: Advance) -> Effects:
    ids = [uuid4() for _ in range(ADDED)]
    await tx.fetch("SELECT g.text FROM unnest($1::uuid[]) AS wanted (id) JOIN grown g USING (id)", ids)
    await tx.execute("INSERT INTO grown SELECT id, repeat('x', 500) FROM unnest($1::uuid[]) AS new (id)", ids)
    await tx.execute("SELECT pg_stat_force_next_flush()")
    return Effects((), ())
