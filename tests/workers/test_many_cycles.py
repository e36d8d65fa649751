"""An old first message needs a cycle for every month since: a transaction inserts a bounded number."""

from datetime import UTC, datetime

import pytest
from asyncpg import Pool

from tests.workers.ingesting import ingest, rows
from tests.workers.records import DAY, WORKSPACE, record
from tests.workers.sending import receipt, request, send
from workers.billing import cycles
from workers.records import Record
from workers.rules.cycles import calendar_of
from workers.services.job_runner import Unfinished
from workers.store import pending_work

pytestmark = pytest.mark.usefixtures("_cycles_stay_open")

OLD = datetime(2000, 1, 15, tzinfo=UTC)
CYCLES = [(c.start, c.end) for c, _ in calendar_of(()).between(OLD, DAY)]
ROWS = "SELECT count(*) FROM sluice_core.mac_cycles"
WRITTEN = """
SELECT coalesce(sum(n_tup_ins), 0) FROM pg_stat_xact_user_tables WHERE relname IN ('mac_cycles', 'unpublished_cycles')
"""
SHOWN = "SELECT cycle_start, cycle_end FROM sluice.mac_counts WHERE workspace_id = $1 ORDER BY 1"


def old(workspace_id: str, at: datetime = OLD, name: str = "1") -> Record[object]:
    value = {
        "workspace_id": workspace_id,
        "channel_id": "wa",
        "channel": "whatsapp",
        "provider_message_id": name,
        "sender": {"address": "+4915112345678"},
        "received_at": at,
        "content": {"type": "text", "text": "hello"},
    }
    return record("messages.inbound", value, timestamp=DAY)


async def turn(pool: Pool, now: datetime = DAY) -> int:
    """Runs the job until nothing is left; how many transactions it took, and none made more rows than it may."""
    for number in range(1_000):
        [(before,)] = await rows(pool, ROWS)
        async with pool.acquire() as tx, tx.transaction():
            if not isinstance(await cycles.add_cycles(tx, now), Unfinished):
                return number
        [(after,)] = await rows(pool, ROWS)
        assert after - before <= pending_work.STEP + 10  # each of its workspaces has one more: the current cycle
    raise AssertionError("it never ends")


async def test_4000_workspaces_of_the_year_2000_are_accepted_in_one_poll_and_most_cycles_are_left(pool: Pool) -> None:
    await ingest(pool, *(old(f"w{n}") for n in range(4_000)), now=DAY)

    assert await rows(pool, "SELECT count(*) FROM sluice.mac_counts WHERE active_contacts = 1") == [(4_000,)]
    [(made,)] = await rows(pool, ROWS)
    assert made <= 4_000 + cycles.CYCLES_AT_ONCE


async def test_soon_after_every_cycle_has_a_row(pool: Pool) -> None:
    await ingest(pool, *(old(f"w{n}") for n in range(50)), now=DAY)

    steps = await turn(pool)

    assert 2 <= steps <= 20
    for n in range(50):
        assert await rows(pool, SHOWN, f"w{n}") == CYCLES
    assert await rows(pool, "SELECT sum(active_contacts) FROM sluice.mac_counts") == [(50,)]
    assert await turn(pool) == 0


async def test_few_cycles_have_a_row_at_once(pool: Pool) -> None:
    await ingest(pool, old("one"), now=DAY)

    assert await rows(pool, SHOWN, "one") == CYCLES
    assert await turn(pool) == 0


async def test_a_step_that_is_lost_is_done_again(pool: Pool) -> None:
    await ingest(pool, *(old(f"w{n}") for n in range(30)), now=DAY)
    async with pool.acquire() as tx:
        lost = tx.transaction()
        await lost.start()
        await cycles.add_cycles(tx, DAY)
        await lost.rollback()

    await turn(pool)

    assert await rows(pool, "SELECT count(*) FROM sluice.mac_counts") == [(30 * len(CYCLES),)]


async def test_earlier_and_earlier_first_messages_leave_no_gap(pool: Pool) -> None:
    months = [datetime(year, month, 20, tzinfo=UTC) for year in range(2025, 1999, -5) for month in (11, 2)]
    for n, at in enumerate(months):
        await ingest(pool, *(old(f"w{w}", at, f"{n}") for w in range(40)), now=DAY)
        if n % 3 == 1:
            async with pool.acquire() as tx, tx.transaction():
                await cycles.add_cycles(tx, DAY)

    await turn(pool)

    expected = [(c.start, c.end) for c, _ in calendar_of(()).between(months[-1], DAY)]
    for w in range(40):
        assert await rows(pool, SHOWN, f"w{w}") == expected


async def test_the_month_turns_without_beginning_at_the_first_one(pool: Pool) -> None:
    await ingest(pool, *(old(f"w{n}") for n in range(20)), now=DAY)
    await turn(pool)
    [(before,)] = await rows(pool, ROWS)
    later = datetime(2026, 5, 2, tzinfo=UTC)

    async with pool.acquire() as tx, tx.transaction():
        already = await tx.fetchval(WRITTEN)
        assert isinstance(await cycles.add_cycles(tx, later), Unfinished)
        assert await tx.fetchval(WRITTEN) - already == 2 * 20 * 2
    assert await rows(pool, ROWS) == [(before + 20 * 2,)]


async def test_a_receipt_of_long_ago_leaves_its_cycles_as_well(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cycles, "CYCLES_AT_ONCE", 100)
    await send(pool, request(requested_at=OLD), receipt("delivered", at=OLD), now=DAY)
    assert await rows(pool, ROWS) == [(1,)]

    assert await turn(pool) == 1

    assert await rows(pool, SHOWN, WORKSPACE) == CYCLES
