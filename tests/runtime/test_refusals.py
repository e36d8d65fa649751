"""A value that the database refuses is its record's fault; nothing else becomes a dead letter."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import repeat
from typing import Final, NamedTuple

import pytest
from asyncpg import Pool

from tests.runtime.ledgerbook import TOPIC, apply, book, decode, rows, spec_of
from tests.support.databases import until
from workers.errors import ApplyFailed, SetupError, SluiceError
from workers.records import Batch, Headers, Output, Partition, SetAside, Slice
from workers.runtime.applying import Applied, Applier
from workers.runtime.bad_record_limit import BAD_RECORD_LIMIT, LIMIT_ERRORS
from workers.runtime.decoding import Position, continued
from workers.runtime.decoding import decode as decoded
from workers.runtime.ledger import PostgresLedger
from workers.runtime.ports import Effects, Probe, no_probe
from workers.runtime.worker_spec import Apply
from workers.store.connection import Connection

SOURCE: Final = Partition(TOPIC, 3)
NO_RECORDS_FAULT: Final = {
    "40001": "serialization_failure",
    "40P01": "deadlock_detected",
    "55P03": "lock_not_available",
    "25006": "read_only_sql_transaction",
    "53100": "disk_full",
    "53200": "out_of_memory",
    "53300": "too_many_connections",
    "57014": "query_canceled",
}
LIMITS_OF_THE_SERVER: Final = {"53400": "configuration_limit_exceeded", "54000": "program_limit_exceeded"}
LASTING: Final = NO_RECORDS_FAULT | LIMITS_OF_THE_SERVER
BUGS: Final = {
    "42P01": "undefined_table",
    "42703": "undefined_column",
    "0A000": "feature_not_supported",
    "XX000": "internal_error",
    "P0001": "raise_exception",
}


class Raw(NamedTuple):
    """A record as it came."""

    offset: int
    value: bytes
    timestamp: int = 1_700_000_000_000
    key: bytes | None = b"k"
    headers: Headers = ()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.runtime.retry_policy._LONGEST_PAUSE_S", 0.0)
    monkeypatch.setattr("workers.runtime.exhaustion_deadline._PAUSE_S", 0.01)


@pytest.fixture
async def ledger(pool: Pool) -> AsyncIterator[PostgresLedger]:
    await book(pool)
    opened = PostgresLedger(pool, "sluice-book", "me", unreachable_after_s=5)
    await opened.open()
    assert await opened.take(1, SOURCE) is not None
    yield opened
    await opened.close()


async def applied(
    ledger: PostgresLedger, values: Sequence[int], apply_: Apply = apply, probe: Probe = no_probe
) -> Applied:
    """One poll with these numbers, from offset 0 on, until all of it is applied or the line stops."""
    raws = [Raw(n, b"%d" % value) for n, value in enumerate(values)]
    parts = await decoded({TOPIC: decode}, {SOURCE: Slice(raws, len(raws))})
    applier = Applier(spec_of(apply_), ledger, probe, unreachable_after_s=1.0)
    positions = {SOURCE: Position(None)}
    done: list[Applied] = []
    while (parts := continued(parts, positions)) and not (done and done[-1].halted):
        done.append(await applier.apply(parts, positions, []))
        for part in done[-1].parts:
            positions[SOURCE] = Position(part.end, pace=positions[SOURCE].pace)
    dead = [letter for each in done for letter in each.effects.dead]
    return done[-1]._replace(effects=Effects([row for each in done for row in each.effects.outbox], dead))


async def letters(pool: Pool) -> list[int]:
    found = await pool.fetch("SELECT source_offset FROM sluice.dead_letters ORDER BY source_offset")
    return [row["source_offset"] for row in found]


def failing(codes: Iterable[str]) -> Apply:
    """Applies, and then the server reports these errors, one at each try."""
    rest = iter(codes)

    async def apply_(tx: Connection, batch: Batch[int]) -> list[Output]:
        outputs = await apply(tx, batch)
        code = next(rest, None)
        if code is not None:
            await tx.execute(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$")
        return outputs

    return apply_


# --- a record's fault


@pytest.mark.parametrize(
    "bad", [{0}, {1_999}, {997}, {998, 999, 1_000, 1_001}, {0, 1, 500, 1_024, 1_998}], ids=lambda bad: f"{sorted(bad)}"
)
async def test_what_only_the_database_refuses_is_found_in_a_large_poll_and_its_neighbours_are_applied(
    pool: Pool, ledger: PostgresLedger, bad: set[int]
) -> None:
    values = [13 if n in bad else 10_000 + n for n in range(2_000)]

    result = await applied(ledger, values)

    assert await letters(pool) == sorted(bad)
    assert await rows(pool) == [value for value in values if value != 13]
    assert [letter.raw.offset for letter in result.effects.dead] == sorted(bad)
    assert await pool.fetchval("SELECT next_offset FROM sluice.partition_progress") == 2_000
    assert all("SQLSTATE 23514" in letter.error for letter in result.effects.dead)


async def test_a_connection_lost_while_looking_for_the_record_finds_it_all_the_same(
    pool: Pool, ledger: PostgresLedger
) -> None:
    tries = 0

    async def apply_(tx: Connection, batch: Batch[int]) -> list[Output]:
        nonlocal tries
        tries += 1
        if tries == 5:
            pid = await tx.fetchval("SELECT pg_backend_pid()")
            await pool.execute("SELECT pg_terminate_backend($1)", pid)
            await until(pool, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)", pid)
        if tries == 20:
            await tx.execute("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40P01'; END $$")
        return await apply(tx, batch)

    await applied(ledger, [13 if n == 70 else 100 + n for n in range(100)], apply_)

    assert tries > 20
    assert await letters(pool) == [70]
    assert await rows(pool) == [100 + n for n in range(100) if n != 70]


# --- what a worker must not apply


def sparing(error: str, *, tries: list[int]) -> Apply:
    """Sets numbers from 5,000 on aside."""

    async def apply_(tx: Connection, batch: Batch[int]) -> list[Output]:
        tries.append(len(batch.records))
        refused = {(r.source, r.offset): error for r in batch.records if r.value >= 5_000}
        if refused:
            raise SetAside(refused)
        return await apply(tx, batch)

    return apply_


async def test_what_a_worker_sets_aside_is_a_dead_letter_that_says_why_and_the_rest_is_applied(
    pool: Pool, ledger: PostgresLedger
) -> None:
    tries: list[int] = []

    result = await applied(ledger, [100, 5_000, 13, 5_001, 101], sparing("too_many_channels: no more", tries=tries))

    assert [(d.raw.offset, d.error[:17]) for d in result.effects.dead][::2] == [
        (1, "too_many_channels"),
        (3, "too_many_channels"),
    ]
    assert await letters(pool) == [1, 2, 3]
    assert await rows(pool) == [100, 101]
    assert tries == [5, 3, 3, 1, 2, 1, 1]


@pytest.mark.parametrize("error", LIMIT_ERRORS)
async def test_what_only_asks_for_too_much_stops_no_line_not_even_after_a_start(
    pool: Pool, ledger: PostgresLedger, error: str
) -> None:
    result = await applied(ledger, range(5_000, 5_000 + BAD_RECORD_LIMIT), sparing(error, tries=[]))

    assert result.halted == {}
    assert await letters(pool) == [*range(BAD_RECORD_LIMIT)]
    taken = await ledger.take(2, SOURCE)
    assert taken is not None
    assert taken.bad == ()


async def test_other_records_that_are_set_aside_stop_it(pool: Pool, ledger: PostgresLedger) -> None:
    result = await applied(ledger, range(5_000, 5_000 + BAD_RECORD_LIMIT), sparing("it makes no sense", tries=[]))

    assert result.halted == {SOURCE: BAD_RECORD_LIMIT - 1}
    assert await letters(pool) == [*range(BAD_RECORD_LIMIT - 1)]


async def test_to_set_aside_what_was_not_given_is_a_bug(ledger: PostgresLedger) -> None:
    async def apply_(_tx: Connection, _batch: Batch[int]) -> list[Output]:
        raise SetAside({(SOURCE, 99): "why"})

    with pytest.raises(ApplyFailed, match="sets aside"):
        await applied(ledger, [100], apply_)


# --- nobody's fault: it passes


async def test_what_passes_is_tried_again_and_no_record_pays_for_it(pool: Pool, ledger: PostgresLedger) -> None:
    result = await applied(ledger, range(100, 150), failing([*NO_RECORDS_FAULT]))

    assert await letters(pool) == []
    assert result.effects.dead == []
    assert await rows(pool) == [*range(100, 150)]


@pytest.mark.parametrize("code", LASTING, ids=lambda code: f"{code} {LASTING[code]}")
async def test_what_does_not_pass_ends_the_worker_and_no_record_pays_for_it(
    pool: Pool, ledger: PostgresLedger, code: str
) -> None:
    # It is the whole server: a row that is written as it was, which nobody but the trial does, fails as well.
    await pool.execute(
        f"""
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$;
        CREATE TRIGGER trial BEFORE UPDATE ON sluice_core.progress
            FOR EACH ROW WHEN (OLD.* IS NOT DISTINCT FROM NEW.*) EXECUTE FUNCTION fail()
        """
    )
    with pytest.raises(SluiceError, match="conflicts do not end|lost its connection|has lacked space"):
        await applied(ledger, range(100, 150), failing(repeat(code)))

    assert await letters(pool) == []
    assert await rows(pool) == []


async def test_a_row_that_somebody_else_holds_is_waited_for(pool: Pool, ledger: PostgresLedger) -> None:
    await pool.execute("INSERT INTO book VALUES (0, 0, 0)")
    waited = 0

    async def apply_(tx: Connection, batch: Batch[int]) -> list[Output]:
        nonlocal waited
        waited += 1
        await tx.execute("SET LOCAL lock_timeout = '10ms'")
        if waited == 3:
            released.set()
            await until(pool, "SELECT NOT EXISTS (SELECT FROM pg_locks WHERE mode = 'AccessExclusiveLock')")
        return await apply(tx, batch)

    released, locked = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with pool.acquire() as other, other.transaction():
            await other.execute("LOCK TABLE book")
            locked.set()
            await released.wait()

    holding = asyncio.create_task(hold())
    await asyncio.wait_for(locked.wait(), 10)
    await applied(ledger, [100, 101], apply_)
    await holding

    assert waited >= 3
    assert await letters(pool) == []
    assert await rows(pool) == [0, 100, 101]


# --- ours


@pytest.mark.parametrize("code", BUGS, ids=lambda code: f"{code} {BUGS[code]}")
async def test_a_statement_that_cannot_work_stops_the_worker_and_names_the_offsets(
    pool: Pool, ledger: PostgresLedger, code: str
) -> None:
    with pytest.raises(ApplyFailed, match=r"while applying messages.inbound\[3\] offsets 0 to 49"):
        await applied(ledger, range(100, 150), failing([code]))

    assert await letters(pool) == []
    assert await rows(pool) == []


async def test_a_missing_right_asks_for_the_operator(pool: Pool, ledger: PostgresLedger) -> None:
    with pytest.raises(SetupError, match="lacks a right"):
        await applied(ledger, range(100, 150), failing(["42501"]))

    assert await letters(pool) == []


async def test_a_bug_beside_a_refused_record_stops_the_worker_and_nothing_is_applied(
    pool: Pool, ledger: PostgresLedger
) -> None:
    async def buggy(tx: Connection, batch: Batch[int]) -> list[Output]:
        outputs = await apply(tx, batch)
        if any(record.value == 177 for record in batch.records):
            raise KeyError
        return outputs

    with pytest.raises(ApplyFailed, match=r"KeyError while applying messages.inbound\[3\] offsets 50 to 99"):
        await applied(ledger, [13 if n == 20 else 100 + n for n in range(100)], buggy)

    assert await letters(pool) == []
    assert await rows(pool) == []


async def test_what_is_refused_only_at_commit_is_no_single_records_fault(pool: Pool, ledger: PostgresLedger) -> None:
    await pool.execute(
        """
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION USING ERRCODE = '23514'; END $$;
        CREATE CONSTRAINT TRIGGER late AFTER INSERT ON book DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION refuse()
        """
    )

    with pytest.raises(ApplyFailed, match="a value of no single record"):
        await applied(ledger, range(100, 150))

    assert await letters(pool) == []
    assert await rows(pool) == []
