"""Section 1 of the contract: from when on workspaces and channels exist, and event time."""

from datetime import datetime, timedelta

import pytest

from tests.acceptance.stage import MISSING, Workspace, at, identity, now

INSTANT = timedelta(microseconds=1)
DAYS = timedelta(days=1)


async def test_a_workspace_and_a_channel_exist_from_their_first_record_on(workspace: Workspace) -> None:
    assert await workspace.rows("workspace_settings") == []
    await workspace.play(workspace.message(at=at(0)))

    assert await workspace.row("workspace_settings") == {
        "workspace_id": workspace.id,
        "time_zone": "UTC",
        "anchor_day": 1,
        "mac_block_effect": "next_cycle",
        "count_broadcasts": True,
        "count_reactions": True,
        "close_grace_hours": 72,
        "mac_limit": None,
        "default_region": None,
        "quarantine_days": 7,
        "hold_ttl_hours": 72,
        "claim_ttl_hours": 24,
        "message_retention_days": None,
        "merge_undo_hours": 24,
        "two_person_confirm": False,
    }
    configured = workspace.command("configure_channel", channel_id="m2", channel="messenger", name="Page")
    await workspace.play(configured)
    channels = {row["channel_id"]: row for row in await workspace.rows("channels")}
    assert {id_: (row["channel"], row["name"], row["count"]) for id_, row in channels.items()} == {
        "whatsapp-main": ("whatsapp", None, True),
        "m2": ("messenger", "Page", True),
    }


@pytest.mark.parametrize(
    ("sent_at", "event_time"),
    [
        (at(-60), at(-60)),
        (MISSING, at(0)),
        (None, at(0)),
        (at(0) + INSTANT, at(0)),
        (at(0) - 7 * DAYS, at(0) - 7 * DAYS),
        (at(0) - 7 * DAYS - INSTANT, at(0)),
    ],
)
async def test_event_time_is_sent_at_clamped(workspace: Workspace, sent_at: object, event_time: datetime) -> None:
    await workspace.play(workspace.message(at=at(0), sent_at=sent_at))
    assert (await workspace.row("conversation_messages"))["event_time"] == event_time


async def test_a_clock_more_than_five_minutes_ahead_of_kafka_is_not_believed(workspace: Workspace) -> None:
    far, near = now() + timedelta(minutes=10), now() + timedelta(minutes=4)
    block = workspace.command("block_contact", identity=identity("+4915100000001"), at=far)
    await workspace.play(workspace.message("near", at=near), workspace.message("far", at=far, channel="sms"), block)

    times = {row["channel"]: row["event_time"] for row in await workspace.rows("conversation_messages")}
    assert times["whatsapp"] == near
    assert times["sms"] <= now()
    assert (await workspace.row("blocked_contacts"))["blocked_at"] <= now()
