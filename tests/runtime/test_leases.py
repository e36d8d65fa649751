"""Who gets a lease: never an older member of the group while a newer one lives; one holder of a job at a time."""

from uuid import uuid4

import pytest
from asyncpg import Pool

from tests.runtime.ledgerbook import TOPIC
from workers.records import Lease, Partition, Trial
from workers.runtime.ledger import PostgresLedger
from workers.store import leases
from workers.store.leases import Holder

HERE = Partition(TOPIC, 0)


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


def told(taken: Lease | None) -> tuple[bool, Trial | None]:
    assert taken is not None
    return taken.orphaned, taken.tried


async def test_an_heir_is_told_that_a_lease_was_not_given_back_and_what_was_tried_under_it(pool: Pool) -> None:
    dead, after_crash, next_ = [await opened(pool, name) for name in ("dead", "heir", "next")]
    # Each asks twice, as if the first answer had been lost.
    first = [await dead.take(1, HERE) for _ in range(2)]
    await dead.tries(HERE, Trial(5, 1))
    second = [await after_crash.take(2, HERE) for _ in range(2)]
    await dead.tries(HERE, Trial(9, 1))  # late, and not its own any more
    until = await pool.fetchval("SELECT tried_until FROM sluice_core.progress")
    await after_crash.release()
    third = await next_.take(3, HERE)
    for ledger in (dead, after_crash, next_):
        await ledger.close()

    assert [told(taken) for taken in first] == [(False, None)] * 2
    assert [told(taken) for taken in second] == [(True, Trial(5, 1))] * 2
    assert until == 5
    assert told(third) == (False, None)


async def test_what_was_tried_and_applied_since_is_not_told(pool: Pool) -> None:
    before, after_crash = [await opened(pool, name) for name in ("before", "heir")]
    await before.take(1, HERE)
    await before.tries(HERE, Trial(5, 1))
    await pool.execute("UPDATE sluice_core.progress SET next_offset = 5")
    taken = await after_crash.take(2, HERE)
    for ledger in (before, after_crash):
        await ledger.close()

    assert told(taken) == (True, None)


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
            assert await leases.lock_lease(tx, "job", first) is None
            assert await leases.lock_lease(tx, "job", second) is not None
