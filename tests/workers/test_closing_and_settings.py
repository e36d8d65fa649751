"""Settings that come while cycles are past their end: what is late then, and what closes when."""

from asyncpg import Pool

from tests.workers.asking import ask, by_phone, give, rows
from tests.workers.closing_cycles import applied_past, close
from tests.workers.ingesting import ingest
from tests.workers.records import WORKSPACE, at, message
from tests.workers.stepping import steps
from tests.workers.test_closing import ANA, BEN, CLOSES, END, FIGURES

LATE = "SELECT count(*) FROM late_facts"


async def settled(pool: Pool) -> list[tuple[object, ...]]:
    """The figures once everything is applied past the instant, and no late fact is left."""
    await steps(pool, 10)
    await applied_past(pool, at(CLOSES))
    await close(pool)
    assert await rows(pool, LATE) == [(0,)]
    return await rows(pool, FIGURES, WORKSPACE)


async def test_a_shorter_grace_of_before_the_end_that_is_applied_after_messages_makes_them_late(pool: Pool) -> None:
    await ingest(pool, message(ANA), message(BEN, minutes=END - 10, late_minutes=300))
    shorter = ask("configure_workspace", minutes=END - 60, set={"close_grace_hours": 2})
    await give(pool, shorter, now=at(END + 300))
    assert (await settled(pool))[0] == ("closed", 1, 1)


async def test_months_that_are_divided_again_keep_what_is_late(pool: Pool) -> None:
    await ingest(pool, message(ANA), message(BEN, minutes=END - 300, late_minutes=300 + 72 * 60 + 10))
    await give(pool, ask("configure_workspace", minutes=60, set={"time_zone": "Europe/Berlin"}), now=at(CLOSES + 20))
    assert (await settled(pool))[0] == ("closed", 1, 1)


async def test_months_that_are_divided_again_keep_late_blocks(pool: Pool) -> None:
    await give(pool, ask("configure_workspace", minutes=-50, set={"mac_block_effect": "immediate"}))
    await ingest(pool, message(ANA))
    await give(pool, ask("block_contact", minutes=-10, identity=by_phone(ANA), timestamp=at(CLOSES)))
    await give(pool, ask("configure_workspace", minutes=60, set={"time_zone": "Europe/Berlin"}), now=at(CLOSES + 20))
    assert (await settled(pool))[0] == ("closed", 1, -1)


async def test_a_cycle_whose_end_moves_closes_by_its_new_end(pool: Pool) -> None:
    await ingest(pool, message(ANA), message(BEN, minutes=END + 10))
    await give(pool, ask("configure_workspace", minutes=60, set={"anchor_day": 1}), now=at(END + 10))
    await close(pool)
    await give(pool, ask("configure_workspace", minutes=120, set={"anchor_day": 15}), now=at(END + 20))
    await close(pool)
    instants = await rows(pool, "SELECT cycle_end, closes_at - cycle_end FROM mac_cycles ORDER BY cycle_start")
    assert [str(grace) for _, grace in instants] == ["3 days, 0:00:00"] * 2
    assert instants[1][0] == at(END + 14 * 1440)
