"""Generations of messages: an id is found wherever it is stored, also while generations are opened and sealed."""

import asyncio
import time
from collections import Counter
from random import Random
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg
import pytest
from asyncpg import Pool

from tests.store.storing import ANY_SIZE, known, seal, store, store_in, turn, under_way
from tests.support.databases import until
from workers.app.composition import WORKERS
from workers.errors import RetryBatch
from workers.messages import jobs
from workers.services.job_runner import Unfinished
from workers.store import message_generations, queries

STORED_FOR_S: Final = 4.0
STATES: Final = (
    "SELECT CASE WHEN sealed_at IS NOT NULL THEN 'sealed' WHEN closed_at IS NOT NULL THEN 'closed' ELSE 'open' END"
    " FROM generations ORDER BY generation"
)
WAITING: Final = (
    "SELECT count(*) = $1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
TO_SEAL: Final = queries.load("message_generations")["to_seal"]


async def states(pool: Pool) -> list[str]:
    return [state for [state] in await pool.fetch(STATES)]


# --- look-up


async def test_a_repeat_is_found_in_the_open_in_closed_and_in_sealed_generations(pool: Pool) -> None:
    ids = [uuid4() for _ in range(400)]
    for part in range(4):
        await store(pool, *ids[part * 100 : part * 100 + 100])
        if part < 3:
            assert await turn(pool)
    assert await seal(pool)
    assert await seal(pool)
    assert await states(pool) == ["sealed", "sealed", "closed", "open"]

    fresh = [uuid4() for _ in range(100)]
    assert await store(pool, *ids, *fresh) == set(ids)
    assert await store(pool, *ids, *fresh) == {*ids, *fresh}
    generations_used = await pool.fetch("SELECT generation, count(*) FROM messages GROUP BY 1 ORDER BY 1")
    assert [tuple(r) for r in generations_used] == [(0, 100), (1, 100), (2, 100), (3, 200)]


async def test_a_generation_of_another_era_is_looked_into_as_well(pool: Pool) -> None:
    ids = [uuid4() for _ in range(35)]
    for id_ in ids:
        await store(pool, id_)
        await turn(pool)
        await seal(pool)
    assert await pool.fetchval("SELECT count(DISTINCT era) FROM message_fingerprints") == 2
    assert await store(pool, *ids) == set(ids)


async def test_an_id_with_the_print_of_another_one_is_stored_once(pool: Pool) -> None:
    sealed = uuid4()
    await store(pool, sealed)
    await turn(pool)
    await seal(pool)
    lookalike = UUID(bytes=sealed.bytes[:5] + uuid4().bytes[5:])

    assert await store(pool, lookalike) == set()
    assert await store(pool, lookalike, sealed) == {lookalike, sealed}
    await turn(pool)
    await seal(pool)
    assert await store(pool, lookalike, sealed) == {lookalike, sealed}


async def test_a_print_across_two_others_is_taken_for_no_message(pool: Pool) -> None:
    """Prints stand one behind the other: three bytes of two neighbours may look like a third."""
    first, second = (UUID(bytes=b"\x10\x10" + p + bytes(11)) for p in (b"\x01\x02\x03", b"\x04\x05\x06"))
    await store(pool, first, second)
    await turn(pool)
    await seal(pool)
    [fingerprints] = await pool.fetchrow("SELECT fingerprints FROM message_fingerprints")
    between = UUID(bytes=b"\x10\x10" + fingerprints[1:4] + bytes(11))

    assert await store(pool, between) == set()
    assert await store(pool, between, first, second) == {between, first, second}


async def test_nobody_can_store_a_message_without_its_generation(pool: Pool) -> None:
    await store(pool, uuid4())
    with pytest.raises(asyncpg.NotNullViolationError):
        await pool.execute(
            "INSERT INTO messages (workspace_id, message_id, identity_id, channel_id, channel, kind, event_time,"
            " counted, decided_at, content_digest)"
            " SELECT workspace_id, gen_random_uuid(), identity_id, channel_id, channel, kind, event_time,"
            " counted, decided_at, content_digest FROM messages"
        )


# --- opening another one


async def test_no_generation_is_opened_while_a_transaction_stores_into_the_newest(pool: Pool) -> None:
    """Transactions that store into the next one see what it stores."""
    id_ = uuid4()
    async with under_way(pool, id_):
        turning = asyncio.create_task(turn(pool))
        await until(pool, WAITING, 1)
        assert await states(pool) == ["open"]
    assert await turning
    assert await store(pool, id_) == {id_}
    assert await states(pool) == ["closed", "open"]


async def test_who_waits_for_another_generation_sees_what_was_stored_during_the_wait(pool: Pool) -> None:
    id_ = uuid4()
    async with pool.acquire() as first:
        under_way_too = first.transaction()
        await under_way_too.start()
        await store_in(first, id_)
        turning = asyncio.create_task(turn(pool))
        await until(pool, WAITING, 1)
        storing = asyncio.create_task(store(pool, id_))
        await until(pool, WAITING, 2)
        await under_way_too.commit()
    assert await turning
    assert await storing == {id_}


async def test_who_opens_a_generation_does_not_keep_others_waiting_for_long(pool: Pool) -> None:
    async with under_way(pool, uuid4()):
        began = time.monotonic()
        async with pool.acquire() as tx, tx.transaction():
            assert not await message_generations.open_next(tx, ANY_SIZE)
            assert time.monotonic() - began < 5
            assert await tx.fetchval("SELECT 1") == 1  # what else is done in the transaction holds
    assert await states(pool) == ["open"]


async def test_two_that_open_a_generation_at_once_open_one(pool: Pool) -> None:
    """As when a lease expires: the second one finds the newest generation nearly empty."""
    await store(pool, *(uuid4() for _ in range(2_000)))
    async with under_way(pool, uuid4()):
        both = [asyncio.create_task(_turn_when_full(pool, 65_536)) for _ in range(2)]
        await until(pool, WAITING, 2)
    assert sorted(await asyncio.gather(*both)) == [False, True]
    assert await states(pool) == ["closed", "open"]


async def test_a_generation_is_full_by_what_was_added_to_the_index(pool: Pool) -> None:
    before = await pool.fetchval("SELECT pg_relation_size('messages_pkey')")
    await store(pool, *(uuid4() for _ in range(2_000)))
    added = await pool.fetchval("SELECT pg_relation_size('messages_pkey')") - before
    assert not await _turn_when_full(pool, added + 1)
    assert await _turn_when_full(pool, added)
    assert not await _turn_when_full(pool, 65_536)
    await store(pool, *(uuid4() for _ in range(2_000)))
    assert await _turn_when_full(pool, 65_536)


async def test_an_index_that_was_built_anew_and_is_smaller_now_begins_another_generation(pool: Pool) -> None:
    await store(pool, *(uuid4() for _ in range(2_000)))
    await turn(pool)
    await pool.execute("UPDATE generations SET began_bytes = began_bytes + 1000000 WHERE closed_at IS NULL")
    assert await _turn_when_full(pool, 65_536)
    assert not await _turn_when_full(pool, 65_536)


async def _turn_when_full(pool: Pool, full_bytes: int) -> bool:
    async with pool.acquire() as tx, tx.transaction():
        return await message_generations.open_next(tx, full_bytes)


# --- everybody at once


async def test_no_message_is_stored_twice_and_no_repeat_is_missed_while_generations_turn(pool: Pool) -> None:
    """Six store the same few ids again and again; one opens generations as fast as it can, two seal them."""
    dice, ends = Random(1), time.monotonic() + STORED_FOR_S  # noqa: S311 - the same every time
    ids = [UUID(int=dice.getrandbits(128)) for _ in range(30_000)]
    count: Counter[str] = Counter()

    async def storer() -> None:
        mine: set[UUID] = set()
        while time.monotonic() < ends:
            wanted = {dice.choice(ids) for _ in range(40)}
            try:
                async with pool.acquire() as tx, tx.transaction():
                    found = await store_in(tx, *wanted)
                    await asyncio.sleep(dice.random() * 0.01)
            except RetryBatch:
                count["again"] += 1
                continue
            count["missed"] += len(wanted & mine - found)
            count["repeats"] += len(found)
            mine |= wanted

    async def turner() -> None:
        while time.monotonic() < ends:
            count["turned"] += await turn(pool)

    async def sealer() -> None:
        while time.monotonic() < ends:
            count["sealed"] += await seal(pool)
            await asyncio.sleep(dice.random() * 0.02)

    await asyncio.gather(*(storer() for _ in range(6)), turner(), sealer(), sealer())

    stored = [id_ for [id_] in await pool.fetch("SELECT message_id FROM messages")]
    assert (len(stored), count["missed"]) == (len(set(stored)), 0)
    assert count["repeats"] > 1_000
    assert min(count["turned"], count["sealed"]) > 20
    async with pool.acquire() as tx, tx.transaction():
        assert await known(tx, ids) == set(stored)


async def test_repeats_are_found_though_nobody_seals_or_opens_generations(pool: Pool) -> None:
    """Upkeep is away: first for sealing, then altogether. Once it is back it catches up."""
    ids = [uuid4() for _ in range(600)]
    for n in range(12):
        await store(pool, *ids[n * 40 : n * 40 + 40])
        await turn(pool)
    for n in range(480, 600, 10):
        await store(pool, *ids[n : n + 10])
    assert await states(pool) == ["closed"] * 12 + ["open"]
    assert await store(pool, *ids) == set(ids)

    while await seal(pool):
        pass
    assert await states(pool) == ["sealed"] * 12 + ["open"]
    assert await store(pool, *ids) == set(ids)


# --- upkeep


async def test_upkeep_opens_and_seals_generations() -> None:
    assert {"turn generations", "seal generations"} <= {job.name for job in WORKERS["upkeep"].jobs}


async def test_the_jobs_open_a_full_generation_and_seal_one_at_a_time(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = {job.name: job.run for job in jobs.JOBS}

    async def once(name: str) -> Any:
        async with pool.acquire() as tx, tx.transaction():
            return await run[name](tx, await tx.fetchval("SELECT now()"))

    await store(pool, uuid4())
    assert await once("turn generations") == ()
    assert await states(pool) == ["open"]
    monkeypatch.setattr(jobs, "FULL_BYTES", 8_192)
    assert await once("turn generations") == ()
    assert await once("turn generations") == ()
    assert await states(pool) == ["closed", "open"]
    await turn(pool)
    assert await once("seal generations") == Unfinished()
    assert await once("seal generations") == Unfinished()
    assert await once("seal generations") == ()
    assert await states(pool) == ["sealed", "sealed", "open"]


async def test_a_large_generation_may_take_longer_to_seal_than_a_transaction_may_last(pool: Pool) -> None:
    await store(pool, uuid4())
    await turn(pool)
    async with pool.acquire() as tx, tx.transaction():
        assert await tx.fetchval("SELECT current_setting('transaction_timeout', true)") in ("30s", None)
        await message_generations.seal(tx)
        assert await tx.fetchval("SELECT current_setting('transaction_timeout', true)") in ("0", None)


async def test_two_that_seal_at_once_seal_different_generations(pool: Pool) -> None:
    for _ in range(2):
        await store(pool, *(uuid4() for _ in range(10)))
        await turn(pool)
    async with pool.acquire() as one, one.transaction(), pool.acquire() as other, other.transaction():
        assert [await one.fetchval(TO_SEAL), await other.fetchval(TO_SEAL)] == [0, 1]


async def test_the_worker_may_do_all_this_and_take_nothing_away(pool: Pool) -> None:
    async def as_worker(action: Any) -> Any:
        async with pool.acquire() as tx, tx.transaction():
            await tx.execute("SET LOCAL ROLE sluice_worker")
            return await action(tx)

    id_ = uuid4()
    assert await as_worker(lambda tx: store_in(tx, id_)) == set()
    assert await as_worker(lambda tx: message_generations.open_next(tx, ANY_SIZE))
    assert await as_worker(message_generations.seal)
    assert await as_worker(lambda tx: store_in(tx, id_)) == {id_}
    for statement in (
        "DELETE FROM generations",
        "TRUNCATE generations",
        "DELETE FROM message_fingerprints",
        "TRUNCATE message_fingerprints",
        "INSERT INTO contact_locks VALUES (-1)",
        "DELETE FROM contact_locks",
        "TRUNCATE contact_locks",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await as_worker(lambda tx, statement=statement: tx.execute(statement))


# --- a new database


async def test_an_empty_database_begins_with_an_open_generation(pool: Pool) -> None:
    assert await states(pool) == ["open"]
    assert await pool.fetchval("SELECT count(*) FROM contact_locks") == 65_536
