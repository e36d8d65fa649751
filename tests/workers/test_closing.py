"""Closing cycles: what holds one open, that a closed count stays, what late facts become."""

from datetime import timedelta
from typing import Any

from asyncpg import Pool

from tests.workers.asking import ask, by_phone, contact_of, give, results, rows
from tests.workers.closing_cycles import applied_past, close
from tests.workers.ingesting import ingest
from tests.workers.records import DAY, WORKSPACE, at, message
from tests.workers.stepping import steps
from workers.app.pending_work import STEPS_BY_KIND
from workers.billing.earlier_closing import FIND_LATE
from workers.messages import late_blocks, moving, releasing
from workers.messages.recounting import RECOUNT, RECOUNT_OF_CONTACT
from workers.records import Partition
from workers.store import progress

END = 22 * 1440.0
CLOSES = END + 72 * 60
ANA, BEN, CAT = "+4915112000001", "+4915112000002", "+4915112000003"
FIGURES = (
    "SELECT status, active_contacts, adjustments FROM sluice.mac_counts WHERE workspace_id = $1 ORDER BY cycle_start"
)
ADJUSTED = "SELECT amount, cause FROM sluice.mac_adjustments ORDER BY adjustment_id"
PROOFS = "SELECT contact_id, first_message_id FROM sluice.mac_contacts ORDER BY contact_id"


async def everything_applied(pool: Pool, minutes: float = CLOSES) -> None:
    await applied_past(pool, at(minutes))


async def test_a_cycle_closes_once_every_partition_is_past_its_instant(pool: Pool) -> None:
    await ingest(pool, message(ANA), message(BEN))
    await close(pool)
    assert await rows(pool, FIGURES, WORKSPACE) == [("open", 2, 0)]  # nobody knows the partitions yet
    await everything_applied(pool, CLOSES - 1)
    await close(pool)
    assert await rows(pool, FIGURES, WORKSPACE) == [("open", 2, 0)]

    await everything_applied(pool)
    await pool.execute("UPDATE input_ends SET end_offset = 8 WHERE topic = 'messages.receipts'")
    await close(pool)
    assert await rows(pool, FIGURES, WORKSPACE) == [("open", 2, 0)]  # it stands before its end

    await pool.execute(
        "INSERT INTO progress (topic, partition, consumer_group, generation, next_offset, watermark) "
        "VALUES ('messages.receipts', 0, 'sluice-outbound', 1, 5, $1)",
        at(CLOSES),
    )
    await close(pool)
    assert await rows(pool, FIGURES, WORKSPACE) == [("closed", 2, 0)]
    assert await rows(pool, "SELECT closed_contacts, closed_at IS NOT NULL FROM mac_cycles") == [(2, True)]


async def test_a_partition_whose_topic_was_created_again_or_that_was_rewound_is_past_nothing(pool: Pool) -> None:
    source = Partition("messages.receipts", 0)
    await ingest(pool, message(ANA))
    await everything_applied(pool)
    await pool.execute("UPDATE input_ends SET end_offset = 8 WHERE topic = $1", source.topic)
    await pool.execute(
        "INSERT INTO progress (topic, partition, consumer_group, generation, next_offset, updated_at) "
        "VALUES ('messages.receipts', 0, 'sluice-outbound', 1, 9, $1)",
        at(0),
    )
    await close(pool)
    assert await rows(pool, FIGURES, WORKSPACE) == [("open", 1, 0)]

    await pool.execute("UPDATE progress SET watermark = $1", at(CLOSES))
    async with pool.acquire() as tx, tx.transaction():
        await progress.move(tx, [progress.Move(source, 9, 3)], "sluice")
    await close(pool)
    assert await rows(pool, FIGURES, WORKSPACE) == [("open", 1, 0)]


async def test_late_facts_never_change_a_count_and_are_adjustments_once(pool: Pool) -> None:
    await ingest(pool, message(ANA))
    await give(pool, ask("configure_workspace", minutes=-20, set={"mac_block_effect": "immediate"}))
    await give(pool, ask("block_contact", minutes=-10, identity=by_phone(ANA), timestamp=at(CLOSES)))
    await ingest(pool, message(BEN, minutes=END - 10, late_minutes=72 * 60 + 10))
    assert await rows(pool, FIGURES, WORKSPACE) == [("open", 1, 0)]
    before = await rows(pool, PROOFS)

    await everything_applied(pool)
    await close(pool)
    await close(pool)

    assert await rows(pool, PROOFS) == before
    assert await rows(pool, FIGURES, WORKSPACE) == [("closed", 1, 0)]
    assert sorted(await rows(pool, ADJUSTED)) == [(-1, "late_block"), (1, "late_message")]
    assert await rows(pool, "SELECT count(*) FROM late_facts") == [(0,)]

    await give(pool, ask("unblock_contact", minutes=-5, identity=by_phone(ANA), timestamp=at(CLOSES + 1)))
    await close(pool)
    assert (await rows(pool, ADJUSTED))[-1] == (1, "late_unblock")
    assert await rows(pool, FIGURES, WORKSPACE) == [("closed", 1, 1)]


async def test_a_merge_that_was_issued_after_the_instant_changes_nothing(pool: Pool) -> None:
    await ingest(pool, message(ANA), message(BEN))
    ids: dict[str, Any] = {
        "survivor_id": str(await contact_of(pool, ANA)),
        "loser_id": str(await contact_of(pool, BEN)),
    }
    await everything_applied(pool)
    await close(pool)
    await give(pool, ask("merge_contacts", minutes=CLOSES, **ids))
    await close(pool)
    assert await rows(pool, FIGURES, WORKSPACE) == [("closed", 2, 0)]
    assert len(await rows(pool, PROOFS)) == 2


async def test_late_blocks_change_no_closed_count_when_they_are_applied_before_the_messages(pool: Pool) -> None:
    await give(pool, ask("configure_workspace", minutes=-20, set={"mac_block_effect": "immediate"}))
    await ingest(pool, message(ANA, minutes=END - 50 * 1440), message(BEN, minutes=END - 50 * 1440))
    await give(pool, ask("block_contact", minutes=-10, identity=by_phone(ANA), timestamp=at(CLOSES)))
    await give(pool, ask("block_contact", minutes=-10, identity=by_phone(BEN)))
    await give(pool, ask("unblock_contact", minutes=0, identity=by_phone(BEN), timestamp=at(CLOSES)))
    await ingest(pool, message(ANA, minutes=5), message(BEN, minutes=6))
    await everything_applied(pool)
    await close(pool)
    assert (await rows(pool, FIGURES, WORKSPACE))[-1] == ("closed", 1, 0)
    assert sorted(await rows(pool, ADJUSTED)) == [(-1, "late_block"), (1, "late_unblock")]
    assert await rows(pool, PROOFS) != []


async def test_a_merge_of_before_that_comes_after_is_an_adjustment(pool: Pool) -> None:
    await ingest(pool, message(ANA), message(BEN))
    ids: dict[str, Any] = {
        "survivor_id": str(await contact_of(pool, ANA)),
        "loser_id": str(await contact_of(pool, BEN)),
    }
    await everything_applied(pool)
    await close(pool)
    await give(pool, ask("merge_contacts", minutes=CLOSES - 1, timestamp=at(CLOSES), **ids))
    await close(pool)
    assert await rows(pool, FIGURES, WORKSPACE) == [("closed", 2, -1)]
    assert await rows(pool, ADJUSTED) == [(-1, "merge")]


async def test_a_late_message_of_one_who_was_merged_after_the_instant_is_their_own_adjustment(pool: Pool) -> None:
    await ingest(pool, message(ANA), message(BEN, minutes=END + 10), message(CAT, minutes=END + 10))
    ana, ben = await contact_of(pool, ANA), await contact_of(pool, BEN)
    await everything_applied(pool)
    await close(pool)
    await give(pool, ask("merge_contacts", minutes=CLOSES, survivor_id=str(ana), loser_id=str(ben)))
    late = [message(who, minutes=END - 10, late_minutes=72 * 60 + 10) for who in (BEN, CAT)]
    await ingest(pool, *late)
    await close(pool)
    assert await rows(pool, FIGURES, WORKSPACE) == [("closed", 1, 2), ("open", 2, 0)]
    adjusted = await rows(
        pool,
        "SELECT a.contact_id, i.address FROM mac_adjustments a JOIN messages m ON m.message_id::text = a.fact_id "
        "JOIN identities i USING (identity_id)",
    )
    assert dict(adjusted) == {ben: BEN, await contact_of(pool, CAT): CAT}  # each by their own message


async def test_a_message_on_time_that_comes_after_a_late_block_or_unblock_counts_as_without_it(pool: Pool) -> None:
    await give(pool, ask("configure_workspace", minutes=-20, set={"mac_block_effect": "immediate"}))
    await ingest(pool, *(message(who, minutes=-20_000) for who in (ANA, BEN)), message(CAT, minutes=END + 5))
    april = END + 30 * 1440
    await give(pool, ask("block_contact", minutes=END - 10, identity=by_phone(ANA)))
    for what, who in (("unblock", ANA), ("block", BEN)):
        late = at(april + 72 * 60)
        await give(pool, ask(f"{what}_contact", minutes=END + 10, identity=by_phone(who), timestamp=late))
    await ingest(pool, *(message(who, minutes=END + 20) for who in (ANA, BEN)))
    await everything_applied(pool, april + 72 * 60)
    await close(pool)
    assert (await rows(pool, FIGURES, WORKSPACE))[-1] == ("closed", 2, 0)
    assert sorted(await rows(pool, ADJUSTED)) == [(-1, "late_block"), (1, "late_unblock")]


async def test_an_owner_closes_a_cycle_that_a_partition_holds_open(pool: Pool) -> None:
    await ingest(pool, message(ANA))
    start = "2026-03-01T00:00:00Z"

    async def answers(minutes: float, cycle: str = start, role: str = "owner") -> object:
        asked = ask("close_cycle", minutes=minutes, cycle_start=cycle, reason="a broker is lost", role=role)
        return (await results(pool, asked, now=at(minutes)))[0]

    assert await answers(CLOSES, role="manager") == "not_permitted"
    assert await answers(CLOSES, cycle="2026-03-02T00:00:00Z") == "not_found"
    assert await answers(CLOSES - 1) == "invalid"
    assert await answers(CLOSES) == {"cycle_start": start}
    await close(pool)
    assert await rows(pool, FIGURES, WORKSPACE) == [("closed", 1, 0)]
    assert await rows(pool, "SELECT close_reason FROM mac_cycles") == [("a broker is lost",)]
    assert await answers(CLOSES + 1) == {}

    await ingest(pool, message(BEN))  # on time, and too late: the partition moves again
    await close(pool)
    assert await rows(pool, FIGURES, WORKSPACE) == [("closed", 1, 1)]


async def test_no_setting_changes_a_closed_cycle(pool: Pool) -> None:
    await ingest(pool, message(ANA), message(ANA, minutes=END + 10))
    await everything_applied(pool)
    await close(pool)
    changed = await results(
        pool, ask("configure_workspace", minutes=CLOSES, set={"anchor_day": 15}), now=at(CLOSES + 1)
    )
    cycles = await rows(pool, "SELECT cycle_start, cycle_end, status FROM sluice.mac_counts ORDER BY cycle_start")
    april, middle = at(END), at(END + 14 * 1440)
    assert cycles == [(DAY.replace(day=1), april, "closed"), (april, middle, "open")]
    assert changed == [{"anchor_day": 15}]


async def test_a_shorter_grace_makes_facts_late_that_were_on_time(pool: Pool) -> None:
    await ingest(pool, message(ANA))
    await ingest(pool, message(BEN, minutes=END - 10, late_minutes=300))
    await give(pool, ask("block_contact", minutes=-10, identity=by_phone(ANA), timestamp=at(END + 200)))
    await give(pool, ask("configure_workspace", minutes=END + 600, set={"close_grace_hours": 2}))
    await everything_applied(pool)
    await close(pool)
    assert await rows(pool, FIGURES, WORKSPACE) == [("open", 2, 0)]  # not before the late ones are known
    await steps(pool, 10)
    await close(pool)
    assert await rows(pool, FIGURES, WORKSPACE) == [("closed", 1, 1)]
    assert await rows(pool, ADJUSTED) == [
        (1, "late_message")
    ]  # the block drops Ana's message, which counts all the same


async def test_a_longer_grace_holds_an_ended_cycle_open(pool: Pool) -> None:
    await ingest(pool, message(ANA))
    await give(pool, ask("configure_workspace", minutes=END + 60, set={"close_grace_hours": 100}))
    await everything_applied(pool)
    await close(pool)
    assert await rows(pool, FIGURES, WORKSPACE) == [("open", 1, 0)]
    await applied_past(pool, at(END) + timedelta(hours=100))
    await close(pool)
    assert await rows(pool, FIGURES, WORKSPACE) == [("closed", 1, 0)]


async def test_an_undo_on_time_that_is_applied_after_closing_is_an_adjustment(pool: Pool) -> None:
    await ingest(pool, message(ANA), message(BEN))
    ids: dict[str, Any] = {
        "survivor_id": str(await contact_of(pool, ANA)),
        "loser_id": str(await contact_of(pool, BEN)),
    }
    [merged] = await results(pool, ask("merge_contacts", minutes=10, **ids))
    await everything_applied(pool)
    await close(pool)
    await give(pool, ask("undo_merge", minutes=20, merge_id=merged["merge_id"]))
    await close(pool)
    assert await rows(pool, FIGURES, WORKSPACE) == [("closed", 1, 1)]
    assert await rows(pool, ADJUSTED) == [(1, "undo_merge")]


async def test_a_closed_cycle_keeps_whom_it_counted_when_the_survivor_of_a_later_merge_is_deleted(pool: Pool) -> None:
    await ingest(pool, message(ANA, minutes=END + 5))
    await ingest(pool, message(BEN))
    ana, ben = str(await contact_of(pool, ANA)), str(await contact_of(pool, BEN))
    await everything_applied(pool)
    await close(pool)
    await give(pool, ask("merge_contacts", minutes=CLOSES + 1, survivor_id=ana, loser_id=ben))
    await give(pool, ask("delete_contacts", minutes=CLOSES + 10, contact_ids=[ana], expected_count=1))
    # A late message that is older than the deletion, of an address that was Ana's.
    await ingest(pool, message(ANA, minutes=END - 5, late_minutes=CLOSES - END + 30))
    await close(pool)
    assert (await rows(pool, FIGURES, WORKSPACE))[0] == ("closed", 1, 1)


async def test_a_cycle_closes_after_the_work_that_changes_counts(pool: Pool) -> None:
    await pool.executemany(
        "INSERT INTO pending_work (workspace_id, kind, subject, command_id, details, total) "
        "VALUES ($1, $1, '', gen_random_uuid(), '{}', 1)",
        [(kind,) for kind in STEPS_BY_KIND],
    )
    changing = {late_blocks.REVISE, moving.MOVE, releasing.RELEASE, FIND_LATE, RECOUNT, RECOUNT_OF_CONTACT}
    assert {kind for (kind,) in await rows(pool, "SELECT workspace_id FROM sluice.counting_again")} == changing
