"""What is too much for one transaction is divided; a record that alone is too much is set aside, and no other pays."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import pytest
from asyncpg import Pool
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from tests.runtime.ledgerbook import OUTPUT, TOPIC, apply, book, rows, spec_of
from tests.support.brokers import Broker
from tests.support.databases import until
from tests.support.probes import Crash, CrashAt
from tests.support.workers import running
from workers.errors import ApplyFailed, ExitCode
from workers.process.tasks import ended
from workers.records import Batch, Output
from workers.runtime.ledger import TRANSACTION_S
from workers.runtime.ports import Probe
from workers.runtime.retry_policy import MOST_COSTLY_IN_A_ROW
from workers.runtime.worker_spec import Apply
from workers.store import pool as pools
from workers.store.connection import Connection

COSTLY: Final = 5_000
RAISES: Final = "RAISE EXCEPTION USING ERRCODE = '{}'"
SLEEPS: Final = "PERFORM pg_sleep(60)"
PLAIN: Final = range(100, 160)


async def when(pool: Pool, condition: str, statement: str) -> None:
    """From now on the server does that once a statement that stores numbers has stored such ones, `new`."""
    await pool.execute(
        f"""
        CREATE FUNCTION weigh() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN IF {condition} THEN {statement}; END IF; RETURN NULL; END $$;
        CREATE TRIGGER weigh AFTER INSERT ON book REFERENCING NEW TABLE AS new
            FOR EACH STATEMENT EXECUTE FUNCTION weigh()
        """
    )


def measured(sizes: list[int]) -> Apply:
    """Notes how many records each try has."""

    async def apply_(tx: Connection, batch: Batch[int]) -> list[Output]:
        sizes.append(len(batch.records))
        return await apply(tx, batch)

    return apply_


async def write(broker: Broker, *values: int, partition: int = 0) -> None:
    await broker.create(TOPIC, OUTPUT)
    await broker.produce(TOPIC, [(b"k%d" % (n % 7), b"%d" % n) for n in values], partition=partition)


async def letters(pool: Pool) -> list[tuple[int, int]]:
    found = await pool.fetch("SELECT source_partition, source_offset FROM sluice.dead_letters ORDER BY 1, 2")
    return [(row["source_partition"], row["source_offset"]) for row in found]


async def reasons(pool: Pool) -> set[str]:
    return {row["error"] for row in await pool.fetch("SELECT error FROM sluice.dead_letters")}


@pytest.fixture
async def booked(pool: Pool) -> Pool:
    await book(pool)
    return pool


def with_costly(*places: int) -> list[int]:
    """Plain numbers, and costly ones at these offsets."""
    values = list(PLAIN)
    for place in places:
        values.insert(place, COSTLY + place)
    return values


# --- a record that alone is too much


@pytest.mark.parametrize(
    ("code", "places"), [("53200", (0,)), ("53200", (30, 31, 32)), ("53400", (60,)), ("54001", (7,))], ids=str
)
async def test_a_record_that_the_server_refuses_for_its_size_is_set_aside_and_all_others_are_applied_once(
    database: str, booked: Pool, broker: Broker, code: str, places: Sequence[int]
) -> None:
    await when(booked, f"EXISTS (SELECT FROM new WHERE value >= {COSTLY})", RAISES.format(code))
    await write(broker, *with_costly(*places))
    await write(broker, *range(200, 220), partition=1)

    with capture_logs() as logs:
        async with running(spec_of(), database, broker) as worker:
            await broker.caught_up(booked, TOPIC)
            published = await broker.read_all(OUTPUT)
            assert await worker.stop() is ExitCode.CLEAN

    assert await letters(booked) == [(0, place) for place in places]
    assert all(error.startswith("too_costly: ") and f"SQLSTATE {code}" in error for error in await reasons(booked))
    assert await rows(booked) == [*PLAIN, *range(200, 220)]
    assert sorted(int(record.value or b"") for record in published) == await rows(booked)
    told = [log for log in logs if log["action"] == "batch_divided"]
    assert told
    assert all("messages.inbound[0] offsets " in log["batch"] for log in told)
    assert len(await broker.read_all("dead.letters")) == len(places)


@pytest.mark.parametrize("limit", ["ours", "statement_timeout"])
async def test_a_record_that_alone_passes_the_time_is_set_aside(
    database: str, booked: Pool, broker: Broker, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    if limit == "ours":
        monkeypatch.setattr("workers.runtime.ledger.TRANSACTION_S", 0.3)
    else:
        set_ = "ALTER DATABASE %I SET statement_timeout = '300ms'"
        await booked.execute(f"DO $$ BEGIN EXECUTE format($f${set_}$f$, current_database()); END $$")
    await when(booked, f"EXISTS (SELECT FROM new WHERE value >= {COSTLY})", SLEEPS)
    await write(broker, *with_costly(7))

    async with running(spec_of(), database, broker):
        await broker.caught_up(booked, TOPIC)

    assert await letters(booked) == [(0, 7)]
    assert await rows(booked) == list(PLAIN)
    [reason] = await reasons(booked)
    named = {"ours": "longer than 0.3 s", "statement_timeout": "SQLSTATE 57014"}
    assert named[limit] in reason


async def test_what_is_refused_together_is_applied_in_portions_and_whole_polls_come_back(
    database: str, booked: Pool, broker: Broker
) -> None:
    await when(booked, "(SELECT count(*) FROM new WHERE value < 400) > 20", RAISES.format("53200"))
    sizes: list[int] = []
    await write(broker, *range(100, 300))
    before = _counted()

    async with running(spec_of(measured(sizes)), database, broker):
        await broker.caught_up(booked, TOPIC)
        await write(broker, *range(400, 600))
        await broker.caught_up(booked, TOPIC)

    assert await rows(booked) == [*range(100, 300), *range(400, 600)]
    assert await letters(booked) == []
    refused = [size for size in sizes if size > 20][: _counted() - before]
    assert refused[0] == 200
    assert sizes.count(200) <= 2
    assert len(refused) <= 5
    assert sizes[-1] > 20


def _counted() -> int:
    found = REGISTRY.get_sample_value("sluice_transaction_retries_total", {"worker": "book", "reason": "TooMuch"})
    return int(found or 0)


async def test_what_takes_long_is_not_followed_by_more(
    database: str, booked: Pool, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.runtime.ledger.TRANSACTION_S", 0.8)
    monkeypatch.setattr("workers.runtime.portions.UNHURRIED_S", 0.2)
    await when(booked, "true", "PERFORM pg_sleep((SELECT count(*) FROM new) * 0.01)")
    sizes: list[int] = []
    await write(broker, *range(100, 260))

    async with running(spec_of(measured(sizes)), database, broker):
        await broker.caught_up(booked, TOPIC)

    assert await rows(booked) == list(range(100, 260))
    assert [size for size in sizes if size > 60] == [160]


async def test_a_worker_that_is_to_stop_leaves_the_rest_of_a_divided_poll_to_the_next(
    database: str, booked: Pool, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.runtime.ledger.TRANSACTION_S", 0.5)
    monkeypatch.setattr("workers.runtime.portions.UNHURRIED_S", 0.1)
    await when(booked, "true", "PERFORM pg_sleep((SELECT count(*) FROM new) * 0.02)")
    await write(broker, *range(100, 260))

    async with running(spec_of(), database, broker) as worker:
        await until(booked, "SELECT count(*) > 0 FROM book")
        assert await worker.stop() is ExitCode.CLEAN
    done = await rows(booked)
    assert done == list(range(100, 100 + len(done)))
    assert 0 < len(done) < 100

    await booked.execute("DROP TRIGGER weigh ON book")
    async with running(spec_of(), database, broker):
        await broker.caught_up(booked, TOPIC)
    assert await rows(booked) == list(range(100, 260))


# --- connections


@pytest.mark.parametrize("cut", ["by an administrator", "by the transaction's time"])
async def test_records_that_lose_their_connection_twice_in_a_row_are_divided(
    database: str, booked: Pool, broker: Broker, monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    monkeypatch.setitem(pools._SINCE_17, "transaction_timeout", "300ms")  # noqa: SLF001
    ends = "PERFORM pg_terminate_backend(pg_backend_pid())" if cut == "by an administrator" else SLEEPS
    await when(booked, "(SELECT count(*) FROM new) > 10", ends)
    sizes: list[int] = []
    await write(broker, *range(100, 160))

    async with running(spec_of(measured(sizes)), database, broker):
        await broker.caught_up(booked, TOPIC)

    assert await rows(booked) == list(range(100, 160))
    assert await letters(booked) == []
    assert sizes[:3] == [60, 60, 7]


# --- locks


def test_who_waits_for_a_lock_gives_up_before_its_time_is_over() -> None:
    assert float(pools._SERVER_SETTINGS["lock_timeout"].removesuffix("s")) < TRANSACTION_S  # noqa: SLF001


async def test_a_lock_that_is_waited_for_divides_nothing_and_no_record_pays(
    database: str, booked: Pool, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(pools._SERVER_SETTINGS, "lock_timeout", "50ms")  # noqa: SLF001
    await write(broker, *PLAIN)
    labels = {"worker": "book", "reason": "Conflict"}
    before = REGISTRY.get_sample_value("sluice_transaction_retries_total", labels) or 0

    async with booked.acquire() as other, running(spec_of(), database, broker):
        with capture_logs() as logs:
            async with other.transaction():
                await other.execute("LOCK TABLE book IN SHARE MODE")
                await broker.produce(TOPIC, [(b"k", b"1"), (b"k", b"2")], partition=1)
                async with asyncio.timeout(30):
                    while (REGISTRY.get_sample_value("sluice_transaction_retries_total", labels) or 0) < before + 3:  # noqa: ASYNC110
                        await asyncio.sleep(0.02)
            await broker.caught_up(booked, TOPIC)

    assert "batch_divided" not in [log["action"] for log in logs]
    assert await letters(booked) == []
    assert await rows(booked) == [1, 2, *PLAIN]


# --- whose fault it is


async def test_where_nothing_goes_through_any_more_the_worker_ends(database: str, booked: Pool, broker: Broker) -> None:
    await when(booked, "true", RAISES.format("54000"))
    await write(broker, *PLAIN)

    with pytest.raises(ApplyFailed, match="in a row were too much"):
        async with running(spec_of(), database, broker) as worker:
            await worker.ended()

    assert len(await letters(booked)) == MOST_COSTLY_IN_A_ROW
    assert await rows(booked) == []


async def test_a_bug_is_no_bad_record_however_often_it_ends_its_owner(
    database: str, booked: Pool, broker: Broker
) -> None:
    async def buggy(tx: Connection, batch: Batch[int]) -> list[Output]:
        if any(record.value == 100 for record in batch.records):
            raise KeyError
        return await apply(tx, batch)

    await write(broker, *PLAIN)
    for _ in range(4):
        with pytest.raises(ApplyFailed, match=r"KeyError while applying messages.inbound\[0\] offsets"):
            async with running(spec_of(buggy), database, broker) as worker:
                await worker.ended()
    assert await letters(booked) == []

    async with running(spec_of(), database, broker):
        await broker.caught_up(booked, TOPIC)
    assert await rows(booked) == list(PLAIN)
    assert await letters(booked) == []


# --- heirs


async def test_the_heir_of_an_owner_that_died_begins_with_little(database: str, booked: Pool, broker: Broker) -> None:
    await write(broker, *PLAIN)
    with pytest.raises(Crash):
        async with running(spec_of(), database, broker, probe=CrashAt("applied")) as worker:
            await worker.ended()
    sizes: list[int] = []

    async with running(spec_of(measured(sizes)), database, broker):
        await broker.caught_up(booked, TOPIC)

    assert sizes == [1, 2, 4, 8, 16, 29]
    assert await rows(booked) == list(PLAIN)


async def test_after_a_clean_stop_nobody_is_careful_and_nothing_is_written_down(
    database: str, booked: Pool, broker: Broker
) -> None:
    await write(broker, 100)
    async with running(spec_of(), database, broker) as worker:
        await broker.caught_up(booked, TOPIC)
        assert await worker.stop() is ExitCode.CLEAN
    await write(broker, *PLAIN[1:])
    sizes: list[int] = []

    async with running(spec_of(measured(sizes)), database, broker):
        await broker.caught_up(booked, TOPIC)

    assert sizes == [59]
    assert await booked.fetchval("SELECT count(*) FROM sluice_core.progress WHERE orphaned OR tried_until > 0") == 0


class Deadly:
    """Ends its worker once a number was given to it, as nobody catches: the process would be gone."""

    def __init__(self, value: int) -> None:
        self._value = value
        self._given = False
        self.lives = 0

    async def apply(self, tx: Connection, batch: Batch[int]) -> list[Output]:
        self._given = any(record.value == self._value for record in batch.records)
        return await apply(tx, batch)

    async def probe(self, point: str) -> None:
        if point == "applied" and self._given:
            self._given = False
            self.lives += 1
            raise Crash

    async def live(self, database: str, broker: Broker, pool: Pool) -> None:
        """One owner, until it ends or everything is applied."""
        probe: Probe = self.probe
        with suppress(Crash):
            async with running(spec_of(self.apply), database, broker, probe=probe) as worker:
                applied = asyncio.create_task(broker.caught_up(pool, TOPIC))
                await asyncio.wait({applied, worker.ending}, return_when=asyncio.FIRST_COMPLETED)
                await ended(applied)
                if worker.ending.done():
                    await worker.ended()


@pytest.mark.parametrize(("place", "lives"), [(0, 5), (10, 6)])
async def test_a_record_that_ends_its_owners_is_set_aside_and_all_others_are_applied_once(
    database: str, booked: Pool, broker: Broker, place: int, lives: int
) -> None:
    deadly = Deadly(PLAIN[place])
    await write(broker, *PLAIN)
    await write(broker, *range(200, 220), partition=1)

    while not await letters(booked):
        await deadly.live(database, broker, booked)
        assert deadly.lives <= lives

    assert deadly.lives == lives
    assert await letters(booked) == [(0, place)]
    assert await reasons(booked) == {"too_costly: 4 owners in a row ended when they tried it alone"}
    assert await rows(booked) == sorted({*PLAIN, *range(200, 220)} - {PLAIN[place]})
