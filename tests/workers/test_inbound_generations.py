"""The inbound worker with a contact's messages in several generations: the results are the same."""

from typing import Final

import pytest
from asyncpg import Pool

from tests.store.storing import seal, turn
from tests.workers.ingesting import ACTIVE, DROPPED, SHOWN, STATUS, blocks, ingest, rows, values
from tests.workers.records import DAY, WORKSPACE, at, message, uuid_of
from workers.messages import recounting
from workers.rules.cycles import FIRST_INSTANT, Setting
from workers.store import messages, workspaces

MONTH: Final = 31 * 24 * 60
NAME: Final = "SELECT display_name FROM contact_overview"


async def in_sealed_closed_and_open_generations(pool: Pool) -> None:
    """Three messages, one in each."""
    for minutes, text in ((0, "sealed"), (10, "closed"), (20, "open")):
        await ingest(pool, message(minutes=minutes, text=text, name=text))
        if text != "open":
            assert await turn(pool)
        if text == "sealed":
            assert await seal(pool)


async def test_repeats_are_left_out_and_conflicts_counted_wherever_the_first_is_stored(pool: Pool) -> None:
    await in_sealed_closed_and_open_generations(pool)
    for times in (1, 2):
        again = [message(minutes=m, text=f"changed {times}") for m in (0, 10, 20)]
        same = [message(minutes=m, text=t, name=t) for m, t in ((0, "sealed"), (10, "closed"), (20, "open"))]
        assert await ingest(pool, *again, *same) == []
        assert await rows(pool, "SELECT times FROM message_conflicts") == [(times,)] * 3
    assert await rows(pool, SHOWN) == [("sealed",), ("closed",), ("open",)]
    assert await rows(pool, ACTIVE) == [(1,)]


async def test_late_and_future_messages_take_their_place_in_the_conversation(pool: Pool) -> None:
    await in_sealed_closed_and_open_generations(pool)
    await turn(pool)
    await ingest(pool, message(minutes=-60 * 24 * 60, text="late", name="late"), now=DAY)
    await ingest(pool, message(minutes=300, text="future", name="future"), now=DAY)
    for _ in range(2):
        assert await rows(pool, SHOWN) == [("late",), ("sealed",), ("closed",), ("open",), ("future",)]
        assert await rows(pool, NAME) == [("future",)]
        await turn(pool)
        while await seal(pool):
            pass
    [output] = await blocks(pool, (-90 * 24 * 60, -30 * 24 * 60))
    assert values([output], "messages.revised")[0]["to"] == "dropped"
    assert await rows(pool, SHOWN) == [("sealed",), ("closed",), ("open",), ("future",)]


async def test_a_straggler_does_not_change_a_name_that_a_sealed_message_says(pool: Pool) -> None:
    await ingest(pool, message(minutes=10, name="newest"))
    await turn(pool)
    await seal(pool)
    await ingest(pool, message(minutes=5, name="older"))
    assert await rows(pool, NAME) == [("newest",)]
    await ingest(pool, message(minutes=15, name="newer"), message(minutes=12, name="between"))
    assert await rows(pool, NAME) == [("newer",)]


async def test_a_late_block_and_its_end_reach_every_generation(pool: Pool) -> None:
    await in_sealed_closed_and_open_generations(pool)

    dropped = values(await blocks(pool, (-MONTH, None)), "messages.revised")
    assert [v["to"] for v in dropped] == ["dropped"] * 3
    assert await rows(pool, SHOWN) == []
    assert [r[0] for r in await rows(pool, DROPPED)] == ["contact_blocked"] * 3
    assert await rows(pool, ACTIVE) == [(0,)]

    accepted = values(await blocks(pool, command="unblock"), "messages.revised")
    assert [v["to"] for v in accepted] == ["accepted"] * 3
    assert await rows(pool, SHOWN) == [("sealed",), ("closed",), ("open",)]
    assert await rows(pool, ACTIVE) == [(1,)]
    assert await rows(pool, "SELECT first_counted_at FROM mac_contacts") == [(DAY,)]
    assert await rows(pool, STATUS) == [("open",)]


async def test_a_sealed_generation_is_left_out_only_if_nothing_in_it_is_as_late(pool: Pool) -> None:
    await ingest(pool, message(minutes=0, name="first"), message(minutes=10, name="last"))
    await turn(pool)
    await seal(pool)
    await ingest(pool, message(minutes=5, name="between"))
    assert await rows(pool, NAME) == [("last",)]
    async with pool.acquire() as tx, tx.transaction():
        [row] = await tx.fetch("SELECT workspace_id, contact_id FROM contacts")
        key = (row["workspace_id"], row["contact_id"])
        assert await messages.opening_messages(tx, {key: at(5)}) == ({key: at(10)}, set())
        assert await messages.opening_messages(tx, {key: at(10)}) == ({}, set())
        await tx.execute("UPDATE contacts SET blocks = ARRAY[tstzrange($1, NULL)]", at(10))
        assert await messages.count_flips(tx, {key: (at(10), None)}) == {key: 1}
        [stale], complete = await messages.stale(tx, {key: (at(10), None)}, 10)
        assert (stale.event_time, complete) == (at(10), True)


async def test_the_proof_of_activity_and_what_opened_a_conversation_are_found_in_an_old_generation(pool: Pool) -> None:
    await in_sealed_closed_and_open_generations(pool)
    await blocks(pool, (5, 30))
    assert await rows(pool, "SELECT first_counted_at FROM mac_contacts") == [(DAY,)]
    await blocks(pool, (-MONTH, 5), command="other")
    assert await rows(pool, "SELECT first_counted_at FROM mac_contacts") == [(at(10),)]
    assert await rows(pool, STATUS) == [("open",)]


async def test_how_many_messages_flip_is_counted_in_every_generation(pool: Pool) -> None:
    await in_sealed_closed_and_open_generations(pool)
    async with pool.acquire() as tx, tx.transaction():
        [row] = await tx.fetch("SELECT workspace_id, contact_id FROM contacts")
        key = (row["workspace_id"], row["contact_id"])
        await tx.execute("UPDATE contacts SET blocks = ARRAY[tstzrange($1, NULL)]", at(10))
        assert await messages.count_flips(tx, {key: (DAY, None)}) == {key: 2}


@pytest.mark.parametrize("by_id", [True, False], ids=["by id", "by span"])
async def test_dropped_messages_of_every_generation_can_be_released(pool: Pool, *, by_id: bool) -> None:
    await in_sealed_closed_and_open_generations(pool)
    await blocks(pool, (0, 30))
    [row] = await rows(pool, "SELECT workspace_id, contact_id FROM contacts")
    ids = [id_ for [id_] in await rows(pool, "SELECT message_id FROM drop_ledger")]
    async with pool.acquire() as tx, tx.transaction():
        meant = {"message_ids": frozenset(ids)} if by_id else {"since": DAY, "until": at(30)}
        found, complete = await messages.releasable(tx, [messages.DroppedSelection((row[0], row[1]), **meant)], 10)
    assert complete
    assert [m.generation for _, m in found] == [0, 1, 2]


async def test_content_is_erased_in_every_generation(pool: Pool) -> None:
    await in_sealed_closed_and_open_generations(pool)
    await blocks(pool, (0, None))
    async with pool.acquire() as tx, tx.transaction():
        assert await messages.erase(tx, at(MONTH), 10) == 3
    assert await rows(pool, "SELECT count(*) FROM messages WHERE body IS NULL") == [(3,)]


async def test_a_recount_counts_every_generation(pool: Pool) -> None:
    liked = message("+491511", minutes=0, kind="reaction")
    await ingest(pool, liked, message("+491512", minutes=-MONTH), now=DAY)
    await turn(pool)
    await seal(pool)
    await ingest(pool, message("+491513", minutes=1))
    assert await rows(pool, ACTIVE) == [(1,), (2,)]
    setting = Setting(at(-2 * MONTH), uuid_of("setting"), "", "count_reactions", value=False)
    async with pool.acquire() as tx, tx.transaction():
        await workspaces.add_settings(tx, [(WORKSPACE, setting)])
        await recounting.recount(tx, {WORKSPACE: FIRST_INSTANT}, {WORKSPACE: uuid_of("setting")}, DAY)
    assert await rows(pool, ACTIVE) == [(1,), (1,)]


async def test_what_two_workspaces_call_by_one_id_is_two_messages(pool: Pool) -> None:
    await ingest(pool, message(provider_message_id="a"))
    await turn(pool)
    await seal(pool)
    await ingest(pool, message(provider_message_id="a", workspace_id="other"))
    assert await rows(pool, "SELECT workspace_id FROM messages ORDER BY 1") == [(WORKSPACE,), ("other",)]
