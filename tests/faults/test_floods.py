"""One workspace asks for far too much, in every way that once stopped a worker: the others hardly wait for it.

What each scene measured is logged: `--log-cli-level=info`.
"""

import asyncio
from datetime import timedelta
from itertools import product
from typing import Any, Final

import pytest

from tests.acceptance.making import PHONE, Json, identity, now, wire
from tests.faults import making_floods as making
from tests.faults.floods import ITS_OWN, OTHERS, flooded
from tests.faults.making_floods import FLOOD, maker
from tests.faults.stage import Stage

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(420)]

PATIENCE_S: Final = 280.0
"""Where others keep the machine busy; alone the longest scene takes 40 s."""


async def count(stage: Stage, table: str, condition: str, *arguments: Any) -> int:
    """Rows of a view or table."""
    found: int = await stage.pool.fetchval(f"SELECT count(*) FROM {table} WHERE {condition}", *arguments)  # noqa: S608
    return found


async def test_thousands_of_workspaces_of_long_ago(usual: Stage) -> None:
    """And records that name a dead letter which is not theirs."""
    async with flooded(usual, "workspaces of 2000", beside=OTHERS) as scene:
        await scene.send(making.bad(400), headers=[("sluice_dead_letter_id", b"1")])
        await scene.send(making.old_workspaces(4_000), ITS_OWN)
        await scene.applied(PATIENCE_S)
        await asyncio.sleep(8)
    # They come after their months have closed: each is an adjustment, or will be one.
    late = """
        SELECT count(*) FROM (
            SELECT workspace_id FROM late_facts UNION ALL SELECT workspace_id FROM mac_adjustments
        ) AS facts
        WHERE workspace_id LIKE 'old-%'
    """
    assert await usual.pool.fetchval(late) == 4_000
    assert await count(usual, "sluice.dead_letters", "error LIKE '%2000%'") == 1_000
    assert await count(usual, "sluice.dead_letters", "error NOT LIKE '%2000%'") == 400


async def test_blocks_of_one_contact_and_changes_of_settings(usual: Stage) -> None:
    await making.past(usual.pool, 500, 2_000)
    async with flooded(usual, "blocks and settings", beside=OTHERS) as scene:
        await scene.send(making.blocks(5_000, "+4915110000007"), ITS_OWN)
        await scene.send(making.settings(2_300), ITS_OWN)
        await scene.over(PATIENCE_S)
    done = "workspace_id = $1 AND outcome = 'done' AND command = ANY($2)"
    names = [["block_contact", "unblock_contact"], ["configure_workspace"], ["configure_channel"]]
    assert [await count(usual, "sluice.audit_log", done, FLOOD, name) for name in names] == [5_000, 2_300, 2_300]


async def test_a_family_of_twenty_thousand_runs_is_blocked(usual: Stage) -> None:
    async with flooded(usual, "20,000 children", beside=OTHERS) as scene:
        await scene.send([wire(maker.message())], ITS_OWN)
        await scene.applied(PATIENCE_S)
        await scene.send(making.family(20_000, 300), ITS_OWN)
        await scene.applied(PATIENCE_S)
        await scene.send([wire(maker.command("block_contact", identity=identity(PHONE)))], ITS_OWN)
        await scene.over(PATIENCE_S)
    halted = "SELECT state, reason, count(*) FROM sluice.workflow_runs WHERE workspace_id = $1 GROUP BY 1, 2"
    assert await usual.pool.fetch(halted, FLOOD) == [("halted", "contact_blocked", 20_301)]


async def test_sixty_thousand_messages_each_name_another_channel(usual: Stage) -> None:
    async with flooded(usual, "60,000 channels", beside=OTHERS) as scene:
        await scene.send(making.channels(60_000), ITS_OWN)
        await scene.applied(PATIENCE_S)
    assert await count(usual, "sluice.channels", "workspace_id = $1", FLOOD) == 10_000
    assert await count(usual, "sluice.conversation_messages", "workspace_id = $1", FLOOD) == 10_000
    assert await count(usual, "sluice.dead_letters", "error LIKE 'too_many_channels%'") == 50_000


async def test_seventy_thousand_long_addresses(usual: Stage) -> None:
    async with flooded(usual, "70,000 addresses", beside=OTHERS) as scene:
        await scene.send(making.addresses(70_000), ITS_OWN)
        await scene.applied(PATIENCE_S)
    assert await count(usual, "sluice.contact_overview", "workspace_id = $1", FLOOD) == 70_000


async def test_batches_that_are_huge_once_inflated(usual: Stage) -> None:
    async with flooded(usual, "inflating", beside=OTHERS) as scene:
        letters = 0
        for topic, (partition, batch, number) in product(making.INFLATED, making.inflating()):
            letters += number
            await scene.broker.produce_batch(topic, batch, partition=ITS_OWN[partition % len(ITS_OWN)])
        await scene.applied(PATIENCE_S)
    assert await count(usual, "sluice.dead_letters", "true") == letters


async def test_a_group_of_twenty_thousand_is_confirmed(usual: Stage) -> None:
    await making.holds(usual.pool, "spring", 20_000)
    async with flooded(usual, "20,000 confirmed") as scene:
        await scene.send([wire(maker.command("confirm_send", group_id="spring"))])
        await scene.applied(PATIENCE_S)
        await scene.over(PATIENCE_S)
    assert await count(usual, "sluice.sends", "workspace_id = $1 AND status = 'dispatched'", FLOOD) == 20_000


async def test_a_group_of_sixty_thousand_is_confirmed_at_once_and_dispatched_in_steps(usual: Stage) -> None:
    """All of it takes a minute and a half; the first steps show what the others wait for."""
    await making.holds(usual.pool, "summer", 60_000)
    async with flooded(usual, "60,000 confirmed") as scene:
        await scene.send([wire(maker.command("confirm_send", group_id="summer"))])
        await scene.applied(PATIENCE_S)
        assert await count(usual, "sluice.held_sends", "workspace_id = $1", FLOOD) == 0
        await asyncio.sleep(15)
    assert await count(usual, "sluice.sends", "workspace_id = $1 AND status = 'dispatched'", FLOOD) > 0
    assert await count(usual, "sluice.sends", "workspace_id = $1", FLOOD) == 60_000


async def test_a_group_is_rejected_holds_are_cancelled_and_messages_are_released(usual: Stage) -> None:
    await making.holds(usual.pool, "autumn", 10_500)
    contact = await making.holds_of_one(usual.pool, 10_500)
    mistaken, begin = await making.dropped(usual.pool, 10_500)
    async with flooded(usual, "rejected, cancelled, released") as scene:
        await scene.send([wire(maker.command("reject_send", group_id="autumn"))])
        await scene.send([wire(maker.command("block_contact", contact_id=str(contact)))])
        released: Json = {"contact_id": str(mistaken), "from": begin, "to": now() + timedelta(days=1)}
        await scene.send([wire(maker.command("release_dropped", **released))])
        await scene.applied(PATIENCE_S)
        await scene.over(PATIENCE_S)
    ended = "SELECT status, count(*) FROM sluice.sends WHERE workspace_id = $1 GROUP BY 1"
    assert dict(await usual.pool.fetch(ended, FLOOD)) == {"rejected": 10_500, "cancelled": 10_500}
    assert await count(usual, "sluice.conversation_messages", "workspace_id = $1", FLOOD) == 10_500


async def test_forty_thousand_messages_are_counted_again(usual: Stage) -> None:
    await making.past(usual.pool, 8_000, 40_000)
    async with flooded(usual, "counted again") as scene:
        await scene.send([wire(maker.message(at=making.OLD))])
        await scene.applied(PATIENCE_S)
        await scene.send([wire(maker.command("configure_workspace", set={"anchor_day": 12}, at=making.OLD))])
        await scene.over(PATIENCE_S)
    assert await count(usual, "sluice.mac_contacts", "workspace_id = $1", FLOOD) >= 24_000
