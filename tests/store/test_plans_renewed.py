"""Statements that were first used on empty tables."""

from datetime import datetime
from typing import Final
from uuid import uuid4

from asyncpg import Pool

from workers.runtime.batch import Connection, Source
from workers.runtime.ports import Effects, Fingerprint, Step
from workers.store.ledger import PostgresLedger

HERE: Final = Source("messages.inbound", 0)
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


# Each connection tells its counts once a second at most, unless it is told to.
SCANS: Final = "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'grown'"


def step(n: int) -> Step:
    return Step(HERE, n or None, n + 1, Fingerprint(0, 0))


async def look_up_and_add(tx: Connection, _now: datetime) -> Effects:
    ids = [uuid4() for _ in range(ADDED)]
    await tx.fetch("SELECT g.text FROM unnest($1::uuid[]) AS wanted (id) JOIN grown g USING (id)", ids)
    await tx.execute("INSERT INTO grown SELECT id, repeat('x', 500) FROM unnest($1::uuid[]) AS new (id)", ids)
    await tx.execute("SELECT pg_stat_force_next_flush()")
    return Effects((), ())
