"""Who gets a lease: never an older member of the group while a newer one lives; one holder of a job at a time."""

from uuid import uuid4

import pytest
from asyncpg import Pool

from tests.runtime.ledgerbook import TOPIC
from workers.errors import SetupError
from workers.runtime.batch import Source
from workers.store import leases
from workers.store.leases import Holder
from workers.store.ledger import PostgresLedger

HERE = Source(TOPIC, 0)


async def opened(pool: Pool, name: str, group: str = "sluice-book") -> PostgresLedger:
    ledger = PostgresLedger(pool, group, name)
    await ledger.open()
    return ledger


async def owner(pool: Pool) -> str | None:
    name: str | None = await pool.fetchval("SELECT owner FROM sluice_core.progress")
    return name


async def test_an_older_generation_is_refused_while_the_newer_owner_lives(pool: Pool) -> None:
    newer, older = await opened(pool, "newer"), await opened(pool, "older")
    assert await newer.take(7, HERE) is not None
    assert await older.take(6, HERE) is None
    assert await owner(pool) == "newer"
    assert await older.take(7, HERE) is not None  # the same generation: Kafka gave it away again
    assert await owner(pool) == "older"
    for ledger in (newer, older):
        await ledger.close()


@pytest.mark.parametrize("end", ["released", "died"])
async def test_an_older_generation_follows_a_newer_owner_that_is_gone(pool: Pool, end: str) -> None:
    newer, older = await opened(pool, "newer"), await opened(pool, "older")
    assert await newer.take(7, HERE) is not None
    if end == "released":
        await newer.release()
    else:
        died = "SELECT pg_terminate_backend(backend_pid, 5000) FROM sluice_core.progress"
        assert await pool.fetchval(died)
    # Kafka has forgotten the group: its generations begin again.
    assert await older.take(1, HERE) is not None
    assert await owner(pool) == "older"
    await older.close()
    await newer.close()


async def test_another_group_is_refused_for_good(pool: Pool) -> None:
    ours, theirs = await opened(pool, "ours"), await opened(pool, "theirs", "other-book")
    assert await ours.take(1, HERE) is not None
    await ours.release()
    with pytest.raises(SetupError, match="belongs to consumer group sluice-book, not other-book"):
        await theirs.take(9, HERE)
    for ledger in (ours, theirs):
        await ledger.close()


async def test_a_jobs_lease_has_one_holder_and_tells_when_it_is_due(pool: Pool) -> None:
    first, second = Holder(uuid4(), "first"), Holder(uuid4(), "second")
    async with pool.acquire() as tx:
        assert await leases.take(tx, "job", first, 60, 10) == 0
        assert await leases.take(tx, "job", second, 60, 10) is None
        await leases.ran(tx, "job")
        due_in = await leases.take(tx, "job", first, 60, 10)
        assert due_in is not None
        assert 5 < due_in <= 10
        await leases.release(tx, first)
        due_in = await leases.take(tx, "job", second, 60, 0)
        assert due_in is not None
        assert due_in <= 0
        async with tx.transaction():
            assert await leases.hold(tx, "job", first) is None
            assert await leases.hold(tx, "job", second) is not None
