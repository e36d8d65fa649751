"""The rows of contact_locks separate transactions that judge by a block history from those that change it."""

import asyncio
import time
from collections import Counter
from datetime import datetime
from random import Random
from typing import Final
from uuid import UUID, uuid4

from asyncpg import DeadlockDetectedError, Pool

from tests.support.databases import until
from tests.workers.records import DAY, WORKSPACE, at
from workers.rules.blocks import Interval
from workers.rules.contact import ContactKey
from workers.store import contacts, senders
from workers.store.connection import Connection
from workers.store.contacts import IdentityKey

JUDGED_FOR_S: Final = 3.0
PEOPLE: Final = 30
WAITS_FOR: Final = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid)))"


def key(n: int) -> IdentityKey:
    return IdentityKey(WORKSPACE, "whatsapp", "", f"+4915112{n:06}")


async def people(pool: Pool) -> list[UUID]:
    ids = [uuid4() for _ in range(PEOPLE)]
    for n, id_ in enumerate(ids):
        await pool.execute("INSERT INTO contacts (workspace_id, contact_id) VALUES ($1, $2)", WORKSPACE, id_)
        await pool.execute(
            "INSERT INTO identities (workspace_id, channel, scope, lookup, address, contact_id)"
            " VALUES ($1, $2, $3, $4, $4, $5)",
            *key(n),
            id_,
        )
    return ids


async def lengthen(tx: Connection, id_: UUID) -> int:
    """One more block in the history; how many there are."""
    who = WORKSPACE, id_
    before = (await contacts.lock_for_update(tx, [who]))[who].intervals
    begin = at(2 * len(before))
    await contacts.save_blocks(tx, {who: (*before, Interval(begin, at(2 * len(before) + 1), ""))})
    return len(before) + 1


async def history(tx: Connection, n: int) -> int:
    return len((await senders.find(tx, [key(n)], DAY))[key(n)].contact.intervals)


async def test_who_changes_a_history_waits_for_those_who_judge_by_it(pool: Pool) -> None:
    ids = await people(pool)

    async def change() -> None:
        async with pool.acquire() as tx, tx.transaction():
            await lengthen(tx, ids[0])

    async with pool.acquire() as one, one.transaction(), pool.acquire() as other, other.transaction():
        assert (await history(one, 0), await history(other, 0)) == (0, 0)  # those who judge do not wait for each other
        changing = asyncio.create_task(change())
        await until(pool, WAITS_FOR, one.get_server_pid())
    await changing


async def test_who_waited_for_a_change_judges_by_the_new_history(pool: Pool) -> None:
    ids = await people(pool)

    async def judge() -> int:
        async with pool.acquire() as tx, tx.transaction():
            return await history(tx, 0)

    async with pool.acquire() as tx, tx.transaction():
        await lengthen(tx, ids[0])
        judging = asyncio.create_task(judge())
        await until(pool, WAITS_FOR, tx.get_server_pid())
    assert await judging == 1


async def test_judging_leaves_the_rows_of_contacts_alone(pool: Pool) -> None:
    """A lock on them would be written to their pages, which are many."""
    await people(pool)
    await pool.execute("VACUUM FREEZE contacts")
    async with pool.acquire() as tx, tx.transaction():
        await senders.find(tx, [key(n) for n in range(PEOPLE)], DAY)
    assert await pool.fetchval("SELECT count(*) FROM contacts WHERE xmax <> 0") == 0


async def test_all_wanted_senders_are_found_each_with_its_own_contact(pool: Pool) -> None:
    ids = await people(pool)
    async with pool.acquire() as tx, tx.transaction():
        assert await senders.find(tx, [key(PEOPLE)], DAY) == {}
        assert await senders.find(tx, [], DAY) == {}
        found = await senders.find(tx, [key(n) for n in range(PEOPLE + 5)], DAY)
    assert {k: s.contact.contact_id for k, s in found.items()} == {key(n): id_ for n, id_ in enumerate(ids)}


async def test_a_contact_has_one_bucket_among_those_that_can_be_locked(pool: Pool) -> None:
    for id_, bucket in ((UUID(int=0), 0), (UUID(int=2**128 - 1), 65_535), (UUID("01020304" + "0" * 24), 258)):
        assert await pool.fetchval("SELECT bucket($1)", id_) == bucket
        assert await pool.fetchval("SELECT count(*) FROM contact_locks WHERE bucket = $1", bucket) == 1


async def test_nothing_is_judged_by_an_old_history_and_nobody_deadlocks(pool: Pool) -> None:
    """Four judge what several people wrote; two change histories, and judge again what was judged before."""
    ids, dice, ends = await people(pool), Random(1), time.monotonic() + JUDGED_FOR_S  # noqa: S311 - the same every time
    await pool.execute("CREATE TABLE judged (contact_id uuid, seen int)")
    count: Counter[str] = Counter()

    async def judge() -> None:
        while time.monotonic() < ends:
            some = dice.sample(range(PEOPLE), 8)
            try:
                async with pool.acquire() as tx, tx.transaction():
                    found = await senders.find(tx, [key(n) for n in some], DAY)
                    await asyncio.sleep(dice.random() * 0.01)
                    judged = [(s.contact.contact_id, len(s.contact.intervals)) for s in found.values()]
                    await tx.executemany("INSERT INTO judged VALUES ($1, $2)", judged)
                    opened: dict[ContactKey, datetime | None] = {(WORKSPACE, ids[some[0]]): DAY}
                    await contacts.open_conversations(tx, opened)
                count["judged"] += len(judged)
            except DeadlockDetectedError:
                count["deadlocks"] += 1

    async def change() -> None:
        while time.monotonic() < ends:
            id_ = dice.choice(ids)
            try:
                async with pool.acquire() as tx, tx.transaction():
                    seen = await lengthen(tx, id_)
                    await tx.execute("UPDATE judged SET seen = $2 WHERE contact_id = $1", id_, seen)
                count["changed"] += 1
            except DeadlockDetectedError:
                count["deadlocks"] += 1
            await asyncio.sleep(dice.random() * 0.02)

    await asyncio.gather(*(judge() for _ in range(4)), change(), change())

    wrong = "SELECT count(*) FROM judged JOIN contacts USING (contact_id) WHERE seen <> cardinality(blocks)"
    assert (await pool.fetchval(wrong), count["deadlocks"]) == (0, 0)
    assert count["judged"] > 500
    assert count["changed"] > 50
