"""A replayed record counts on its dead letter only if it is that record: any producer may write the header."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import asyncpg
import pytest
from asyncpg import Pool

from schemas.limits import MAX_DEAD_LETTER_BYTES
from workers.dead_letters.erasure import erase
from workers.records import DeadLetter, Headers, Partition
from workers.rules.letters import REPLAY_HEADER
from workers.services.job_runner import Unfinished
from workers.store import dead_letters

SOURCE: Final = Partition("messages.inbound", 3)
LETTER: Final = (SOURCE, b"acme:1", b"{bad")
LARGE: Final = b"x" * (MAX_DEAD_LETTER_BYTES + 1)
OLD: Final = "UPDATE sluice_core.dead_letters SET first_seen = now() - make_interval(days => $1)"


class Raw(NamedTuple):
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: int = 0


def bad(
    source: Partition, key: bytes | None, value: bytes | None, offset: int, *claims: object, error: str = "no JSON"
) -> DeadLetter:
    headers = [(REPLAY_HEADER, str(claim).encode()) for claim in claims]
    return DeadLetter(source, Raw(offset, key, value, headers), error)


async def record(pool: Pool, *letters: DeadLetter) -> None:
    async with pool.acquire() as tx, tx.transaction():
        await dead_letters.record(tx, letters)


async def upkeep(pool: Pool) -> Sequence[Any] | Unfinished:
    async with pool.acquire() as tx, tx.transaction():
        return await erase(tx, datetime.now(UTC))


async def counted(pool: Pool) -> dict[int, int]:
    """Attempts of each letter."""
    rows = await pool.fetch("SELECT id, attempts FROM sluice.dead_letters ORDER BY id")
    return {row["id"]: row["attempts"] for row in rows}


@pytest.mark.parametrize(
    ("source", "key", "value"),
    [
        (Partition("messages.outbound", 3), b"acme:1", b"{bad"),
        (Partition("messages.inbound", 4), b"acme:1", b"{bad"),
        (SOURCE, b"acme:2", b"{bad"),
        (SOURCE, b"", b"{bad"),
        (SOURCE, None, b"{bad"),
        (SOURCE, b"acme:1", b"{bad "),
        (SOURCE, b"acme:1{", b"bad"),
        (SOURCE, b"acme:1", b""),
        (SOURCE, b"acme:1", None),
        (SOURCE, b"acme:1", LARGE),
    ],
)
async def test_another_record_that_claims_a_letter_is_one_of_its_own(
    pool: Pool, source: Partition, key: bytes | None, value: bytes | None
) -> None:
    await record(pool, bad(*LETTER, 0))
    await pool.execute("UPDATE sluice_core.dead_letters SET status = 'dismissed'")

    await record(pool, bad(source, key, value, 5, 1, error="forged"))

    rows = await pool.fetch("SELECT id, source_offset, error, attempts, status FROM sluice.dead_letters ORDER BY id")
    assert [tuple(row) for row in rows] == [(1, 0, "no JSON", 1, "dismissed"), (2, 5, "forged", 1, "new")]


@pytest.mark.parametrize("key", [b"acme:1", b"", None])
async def test_the_record_itself_counts_on_its_letter_with_its_newest_error(pool: Pool, key: bytes | None) -> None:
    await record(pool, bad(SOURCE, key, b"{bad", 0))
    await pool.execute("UPDATE sluice_core.dead_letters SET status = 'replayed'")

    await record(pool, bad(SOURCE, key, b"{bad", 7, 1, error="first"), bad(SOURCE, key, b"{bad", 8, 1, error="second"))

    rows = await pool.fetch("SELECT id, source_offset, error, attempts, status FROM sluice.dead_letters")
    assert [tuple(row) for row in rows] == [(1, 0, "second", 3, "new")]


async def test_true_and_forged_claims_of_one_poll_are_told_apart(pool: Pool) -> None:
    await record(pool, bad(*LETTER, 0), bad(SOURCE, b"acme:2", b"{bad", 1))

    await record(
        pool,
        bad(SOURCE, b"mallory", b"{bad", 10, 1),
        bad(*LETTER, 11, 1),
        bad(SOURCE, b"mallory", b"{bad", 12, 2),
        bad(SOURCE, b"acme:9", b"{bad", 13),
        bad(SOURCE, b"acme:2", b"{bad", 14, 4711),
    )

    assert await counted(pool) == {1: 2, 2: 1, 3: 1, 4: 1, 5: 1, 6: 1}
    assert await pool.fetchval("SELECT array_agg(source_offset ORDER BY source_offset) FROM sluice.dead_letters") == [
        *(0, 1),
        *(10, 12, 13, 14),
    ]


@pytest.mark.parametrize(("claims", "attempts"), [((9, 1), 2), ((1, 9), 1), (("", 1), 2), ((1, "x"), 2), (("-1",), 1)])
async def test_of_several_headers_the_last_that_names_a_row_counts(
    pool: Pool, claims: tuple[object, ...], attempts: int
) -> None:
    await record(pool, bad(*LETTER, 0))
    await record(pool, bad(*LETTER, 5, *claims))
    assert (await counted(pool))[1] == attempts


async def test_a_partition_that_goes_back_counts_its_record_and_the_replayed_one(pool: Pool) -> None:
    await record(pool, bad(*LETTER, 0))
    for _ in range(2):
        await record(pool, bad(*LETTER, 0), bad(*LETTER, 5, 1))
    assert await counted(pool) == {1: 5}


async def test_the_record_is_known_after_its_content_is_erased_until_no_topic_holds_it(pool: Pool) -> None:
    await record(pool, bad(*LETTER, 0))
    await pool.execute(OLD, 8)
    await upkeep(pool)
    assert await pool.fetchval("SELECT value IS NULL AND key IS NULL FROM sluice_core.dead_letters")

    await record(pool, bad(*LETTER, 5, 1), bad(SOURCE, b"mallory", b"{bad", 6, 1))
    assert await counted(pool) == {1: 2, 2: 1}

    await pool.execute("UPDATE sluice_core.dead_letters SET erased_at = now() - interval '8 days' WHERE id = 1")
    await upkeep(pool)
    assert await pool.fetchval("SELECT array_agg(id) FROM sluice_core.dead_letters WHERE digest IS NOT NULL") == [2]
    await record(pool, bad(*LETTER, 7, 1))
    assert await counted(pool) == {1: 2, 2: 1, 3: 1}


async def test_what_is_forgotten_at_once_is_bounded(pool: Pool) -> None:
    await record(pool, *(bad(*LETTER, offset) for offset in range(1_001)))
    await pool.execute("UPDATE sluice_core.dead_letters SET erased_at = now() - interval '8 days', value = NULL")
    assert isinstance(await upkeep(pool), Unfinished)
    assert await pool.fetchval("SELECT count(*) FROM sluice_core.dead_letters WHERE digest IS NOT NULL") == 1
    assert await upkeep(pool) == ()


async def settled(pool: Pool, letter: int, status: object) -> object:
    return await pool.fetchval("SELECT sluice.dead_letter_settle($1, $2)", letter, status)


async def test_a_letter_is_settled_once_and_replayed_only_while_it_is_kept(pool: Pool) -> None:
    await record(pool, bad(*LETTER, 1), bad(SOURCE, b"acme:1", None, 2))

    assert [await settled(pool, 1, status) for status in ("replayed", "replayed", "dismissed", "dismissed")] == [
        *(True, False, True, False),
    ]
    assert await settled(pool, 1, "replayed")
    assert [await settled(pool, 2, status) for status in ("replayed", "dismissed")] == [False, True]
    assert not await settled(pool, 9, "dismissed")
    found = await pool.fetch("SELECT status FROM sluice.dead_letters ORDER BY id")
    assert [row["status"] for row in found] == ["replayed", "dismissed"]
    for wrong in ("new", "", None):
        with pytest.raises(asyncpg.InvalidParameterValueError):
            await settled(pool, 1, wrong)


async def test_of_two_who_replay_a_letter_one_does(pool: Pool) -> None:
    await record(pool, bad(*LETTER, 1))
    async with pool.acquire() as first, first.transaction():
        assert await first.fetchval("SELECT sluice.dead_letter_settle(1, 'replayed')")
        second = asyncio.create_task(settled(pool, 1, "replayed"))
        failed = asyncio.create_task(record(pool, bad(*LETTER, 2, 1)))
        await asyncio.sleep(0.2)
        assert not second.done()
        assert not failed.done()
    assert await second is False
    await failed
    # The record came back bad after it was marked.
    assert await pool.fetchval("SELECT status || attempts FROM sluice.dead_letters") == "new2"


async def test_readers_settle_nothing(pool: Pool) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL ROLE sluice_reader")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("SELECT sluice.dead_letter_settle(1, 'dismissed')")
