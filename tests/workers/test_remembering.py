"""What upkeep forgets: commands and dead letters after 400 days, and not before."""

from datetime import timedelta
from typing import Final

from asyncpg import Pool

from tests.workers.asking import ask, give, rows
from tests.workers.records import at, uuid_of
from workers.commands import forgetting
from workers.dead_letters import erasure
from workers.services.job_runner import Unfinished

LETTERS: Final = "SELECT source_offset FROM dead_letters ORDER BY source_offset"


async def test_a_command_is_remembered_for_400_days(pool: Pool) -> None:
    tag = ask("define_status", name="VIP", protected=True, command_id=uuid_of("first"))
    await give(pool, tag)

    async def forget(days: float) -> None:
        async with pool.acquire() as tx, tx.transaction():
            assert await forgetting.forget(tx, at(0) + timedelta(days=days)) == ()

    await forget(399)
    assert len(await rows(pool, "SELECT FROM sluice.audit_log")) == 1
    await forget(401)
    assert await rows(pool, "SELECT FROM sluice.audit_log") == []
    assert await rows(pool, "SELECT name FROM sluice.profile_statuses") == [("VIP",)]


async def test_many_go_in_steps_the_oldest_first(pool: Pool) -> None:
    async with pool.acquire() as tx:
        await tx.execute(
            "INSERT INTO commands SELECT 'acme', gen_random_uuid(), 'add_tag', 'olga', 'owner', NULL, NULL, 'done',"
            " NULL, NULL, '{}', $1::timestamptz + n * interval '1 minute' FROM generate_series(1, 1500) n",
            at(0),
        )
    later = at(0) + timedelta(days=402)
    for expected in (Unfinished(), ()):
        async with pool.acquire() as tx, tx.transaction():
            assert await forgetting.forget(tx, later) == expected
        if expected:
            assert await rows(pool, "SELECT min(applied_at) FROM commands") == [(at(1_001),)]
    assert await rows(pool, "SELECT FROM commands") == []


async def test_the_row_of_a_dead_letter_goes_after_400_days_once_its_content_is_gone(pool: Pool) -> None:
    async with pool.acquire() as tx:
        for offset, days, erased in ((1, 401, True), (2, 401, False), (3, 399, True)):
            await tx.execute(
                "INSERT INTO dead_letters (source_topic, source_partition, source_offset, error, first_seen, value,"
                " digest, erased_at) VALUES ('messages.inbound', 0, $1, 'bad', now() - make_interval(days => $2),"
                " $3, $3, CASE WHEN $3::bytea IS NULL THEN now() - interval '380 days' END)",
                offset,
                days,
                None if erased else b"content",
            )
    async with pool.acquire() as tx, tx.transaction():
        await tx.execute("SET LOCAL ROLE sluice_worker")
        assert await erasure.erase(tx, at(0)) == ()
    assert await rows(pool, LETTERS) == [(2,), (3,)]
    assert await rows(pool, "SELECT count(value) FROM dead_letters") == [(0,)]
