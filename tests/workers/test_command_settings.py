"""configure_workspace and configure_channel on a real database."""

from typing import Any

import pytest
from asyncpg import Pool

from tests.workers.asking import ask, give, results, rows
from tests.workers.records import WORKSPACE, at, batch, message
from workers.inbound import worker as inbound
from workers.rules.settings import WORKSPACE_DEFAULTS

CHANNELS = "SELECT channel_id, channel, name, default_region, count FROM sluice.channels ORDER BY channel_id"
MONTH = 32 * 24 * 60


async def shown(pool: Pool, workspace_id: str = WORKSPACE) -> dict[str, Any]:
    async with pool.acquire() as connection:
        row = await connection.fetchrow("SELECT * FROM sluice.workspace_settings WHERE workspace_id = $1", workspace_id)
    assert row is not None
    return {name: value for name, value in row.items() if name != "workspace_id"}


async def ingest(pool: Pool, *records: Any) -> None:
    async with pool.acquire() as tx, tx.transaction():
        await inbound.apply(tx, batch(*records))


async def test_a_workspace_begins_with_the_defaults(pool: Pool) -> None:
    await give(pool, ask("define_status", name="vip", protected=True))
    assert await shown(pool) == WORKSPACE_DEFAULTS


async def test_every_setting_is_shown_as_it_was_set(pool: Pool) -> None:
    wanted: dict[str, Any] = {
        "time_zone": "Europe/Berlin",
        "anchor_day": 15,
        "mac_block_effect": "immediate",
        "count_broadcasts": False,
        "count_reactions": False,
        "close_grace_hours": 1,
        "mac_limit": 5_000_000_000,
        "default_region": "DE",
        "quarantine_days": 0,
        "hold_ttl_hours": 5,
        "merge_undo_hours": 0,
        "two_person_confirm": True,
    }
    assert await results(pool, ask("configure_workspace", set=wanted)) == [wanted]
    assert await shown(pool) == wanted

    cleared = {"mac_limit": None, "default_region": None}
    assert await results(pool, ask("configure_workspace", minutes=1, set=cleared)) == [cleared]
    assert await shown(pool) == wanted | cleared


async def test_only_what_differs_is_reported(pool: Pool) -> None:
    answers = await results(
        pool,
        ask("configure_workspace", minutes=1, set={"quarantine_days": 7, "hold_ttl_hours": 9}),
        ask("configure_workspace", minutes=3, set={"quarantine_days": 3, "hold_ttl_hours": 9}),
        ask("configure_workspace", minutes=2, set={"quarantine_days": 30}),
    )
    assert answers == [{"hold_ttl_hours": 9}, {"quarantine_days": 3}, {}]
    assert (await shown(pool))["quarantine_days"] == 3


async def test_settings_of_one_workspace_are_not_those_of_another(pool: Pool) -> None:
    await give(
        pool,
        ask("configure_workspace", workspace_id="one", set={"anchor_day": 5}),
        ask("define_status", workspace_id="two", name="vip", protected=True),
    )
    assert (await shown(pool, "one"))["anchor_day"] == 5
    assert (await shown(pool, "two"))["anchor_day"] == 1


async def test_a_channel_is_made_and_changed(pool: Pool) -> None:
    answers = await results(
        pool,
        ask("configure_channel", minutes=1, channel_id="sms-1", channel="sms", name="Shop", default_region="FR"),
        ask("configure_channel", minutes=3, channel_id="sms-1", channel="sms", name="Store", count=False),
        ask("configure_channel", minutes=2, channel_id="sms-1", channel="sms", name="Late", default_region="FR"),
        ask("configure_channel", minutes=4, channel_id="sms-1", channel="email", name="Mail"),
        ask("configure_channel", minutes=4, channel_id="tg-1", channel="telegram"),
    )
    assert answers == [
        {"channel": "sms", "name": "Shop", "default_region": "FR"},
        {"name": "Store", "count": False},
        {},
        "invalid",
        {"channel": "telegram"},
    ]
    assert await rows(pool, CHANNELS) == [
        ("sms-1", "sms", "Store", "FR", False),
        ("tg-1", "telegram", None, None, True),
    ]


async def test_a_channel_known_from_its_messages_keeps_its_kind(pool: Pool) -> None:
    await ingest(pool, message())
    assert await results(
        pool,
        ask("configure_channel", channel_id="whatsapp-main", channel="sms", name="Main"),
        ask("configure_channel", channel_id="whatsapp-main", channel="whatsapp", name="Main"),
    ) == ["invalid", {"name": "Main"}]


async def test_the_region_of_a_channel_reads_the_addresses_of_its_commands(pool: Pool) -> None:
    region = ask("configure_channel", channel_id="sms-1", channel="sms", default_region="FR")
    identity = {"channel": "sms", "channel_id": "sms-1", "address": "06 12 34 56 78"}
    await give(pool, region, ask("block_contact", identity=identity))
    assert await rows(pool, "SELECT phone FROM sluice.contact_overview") == [("+33612345678",)]


@pytest.mark.parametrize("kind", ["test channel", "reactions"])
async def test_a_setting_that_goes_by_cycle_counts_what_is_there_anew(pool: Pool, kind: str) -> None:
    active = "SELECT coalesce(sum(active_contacts), 0)::int FROM sluice.mac_counts"
    await ingest(pool, message(kind="reaction"))
    assert await rows(pool, active) == [(1,)]
    command = (
        ask("configure_channel", minutes=1, channel_id="whatsapp-main", channel="whatsapp", count=False)
        if kind == "test channel"
        else ask("configure_workspace", minutes=1, set={"count_reactions": False})
    )
    [changed] = await results(pool, command)
    assert list(changed.values()) == [False]
    assert await rows(pool, active) == [(0,)]


async def test_a_later_value_holds_from_the_end_of_the_cycle_on(pool: Pool) -> None:
    await ingest(pool, message(kind="reaction"), message(kind="reaction", minutes=MONTH))
    active = "SELECT active_contacts FROM sluice.mac_counts ORDER BY cycle_start"
    await give(pool, ask("configure_workspace", minutes=1, set={"count_reactions": True}), now=at(MONTH))
    await give(pool, ask("configure_workspace", minutes=2, set={"count_reactions": False}), now=at(MONTH))
    assert await rows(pool, active) == [(1,), (0,)]
