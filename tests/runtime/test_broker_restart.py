"""The embedded broker loses everything at each start; the database does not."""

from uuid import uuid4

from asyncpg import Pool

from tests.runtime.ledgerbook import OUTPUT, TOPIC, book, rows, spec_of
from tests.support.brokers import Broker
from tests.support.probes import Crash, CrashAt
from tests.support.processes import settings_for
from tests.support.workers import running
from tests.workers.sending import receipt, send
from workers.app import broker_restart
from workers.dev.broker import embedded_broker


async def test_a_new_broker_gets_what_the_old_one_is_owed_and_begins_anew(database: str, pool: Pool) -> None:
    await book(pool)
    with embedded_broker() as bootstrap:
        broker = Broker("embedded", bootstrap)
        await broker.create(TOPIC, OUTPUT)
        await broker.produce(TOPIC, [(b"k", b"1"), (b"k", b"bad")], partition=0)
        try:
            async with running(spec_of(), database, broker, probe=CrashAt("committed")) as worker:
                await worker.ended()
        except Crash:
            pass
    with embedded_broker() as bootstrap:
        broker = Broker("embedded", bootstrap)
        await broker.create(TOPIC, OUTPUT, "dead.letters")
        await broker_restart.begin(settings_for(database, broker))
        assert [record.value for record in await broker.read(OUTPUT, 1)] == [b"1"]
        assert [record.value for record in await broker.read("dead.letters", 1)] == [b"bad"]
        await broker.produce(TOPIC, [(b"k", b"2"), (b"k", b"worse")], partition=0)
        async with running(spec_of(), database, broker):
            await broker.caught_up(pool, TOPIC)
    assert await rows(pool) == [1, 2]
    assert await pool.fetchval("SELECT count(*) FROM sluice.dead_letters WHERE attempts = 1") == 2


async def test_what_waits_or_was_compared_is_in_nobodys_way(database: str, pool: Pool, broker: Broker) -> None:
    first = receipt("sent", send_id=str(uuid4()))
    await send(pool, first)
    await pool.execute("INSERT INTO sluice_core.compaction_positions VALUES ('contacts.changes', 0, 7)")
    await broker_restart.begin(settings_for(database, broker))
    assert await pool.fetchval("SELECT count(*) FROM sluice_core.compaction_positions") == 0
    await send(pool, first)
    assert await pool.fetchval("SELECT count(*) FROM sluice_core.parked_receipts") == 2
