"""A contact of a closed cycle is explained by what was known when it closed, and by what was adjusted since."""

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from asyncpg import Pool

from tests.workers.asking import ask, by_phone, give
from tests.workers.closing_cycles import applied_past, close
from tests.workers.ingesting import ingest, rows
from tests.workers.records import at, message

ANA, BOB, IVY, TOM = (f"+49151123456{n}" for n in (10, 11, 12, 13))
MARCH: Final = datetime(2026, 3, 1, tzinfo=UTC)
DAY: Final = 24 * 60
END: Final = 22 * DAY
CLOSES: Final = END + 3 * DAY
EXPLAINED: Final = "SELECT rule, explanation, active, verdict, counted_as FROM sluice.explain_mac('acme', $1, $2)"


async def explained(pool: Pool, contact_id: UUID) -> tuple[list[str], bool, str, UUID]:
    """The rules of its messages, and what is said of the contact."""
    found = await rows(pool, EXPLAINED, MARCH, contact_id)
    [about] = {row[2:] for row in found}
    return [row[0] for row in found], *about


async def test_a_closed_cycle_is_explained_with_its_adjustments_and_merges(pool: Pool) -> None:
    await ingest(pool, message(ANA, minutes=5), message(TOM, minutes=6), message(IVY, minutes=END + 5))
    # On time is what Kafka had before the closing instant; bob's second message of March came later.
    await ingest(pool, message(BOB, minutes=END - 10, late_minutes=CLOSES - END + 20))
    ids = dict(await rows(pool, "SELECT lookup, contact_id FROM identities"))
    ana, bob, ivy, tom = (ids[who] for who in (ANA, BOB, IVY, TOM))
    await close(pool)  # nothing is applied past the closing instant yet
    waits = "not counted: what counts came after the closing instant, and becomes an adjustment"
    assert await explained(pool, bob) == (["late"], False, waits, bob)

    await applied_past(pool, at(CLOSES))
    await close(pool)
    late: dict[str, Any] = {"timestamp": at(CLOSES + 30)}
    await give(
        pool,
        ask("block_contact", minutes=-12 * DAY, identity=by_phone(ANA), **late),
        ask("merge_contacts", minutes=CLOSES + 20, survivor_id=str(ivy), loser_id=str(tom), **late),
    )
    await close(pool)

    by = "counted{}, by the message of 2026-03-10T00:0{}:00Z"
    gone = by.format(" when the cycle closed", 5) + "; adjusted since: -1 (late_block)"
    assert await explained(pool, ana) == (["proof"], False, gone, ana)
    came = "not counted when the cycle closed: what makes it count came later; adjusted since: +1 (late_message)"
    assert await explained(pool, bob) == (["late"], True, came, bob)
    own = by.format("", 6) + f"; it was merged into {ivy} after this cycle had closed"
    assert await explained(pool, tom) == (["proof"], True, own, tom)
    other = f"not counted when the cycle closed, but {tom}, which was merged into it later"
    assert await explained(pool, ivy) == (["counted"], False, other, ivy)
    [[text]] = await rows(pool, "SELECT explanation FROM sluice.explain_mac('acme', $1, $2)", MARCH, ana)
    assert text.endswith("; it is the proof, the earliest that counted when the cycle closed")
