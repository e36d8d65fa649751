"""configure_workspace and configure_channel on a real database."""

from typing import Any, Final

import pytest
from asyncpg import Pool
from structlog.testing import capture_logs

from tests.workers.asking import ask, give, results, rows
from tests.workers.records import WORKSPACE, at, batch, message
from workers.messages import worker as inbound
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
        "claim_ttl_hours": 3,
        "message_retention_days": 400,
        "merge_undo_hours": 0,
        "two_person_confirm": True,
    }
    assert await results(pool, ask("configure_workspace", set=wanted)) == [wanted]
    assert await shown(pool) == wanted

    cleared = dict.fromkeys(wanted)
    assert await results(pool, ask("configure_workspace", minutes=MONTH, set=cleared)) == [WORKSPACE_DEFAULTS]
    assert await shown(pool) == WORKSPACE_DEFAULTS
    assert await results(pool, ask("configure_workspace", minutes=MONTH + 1, set=cleared)) == [{}]


OF_ANOTHER_RELEASE: Final = ['"soon"', "[5]", '{"a": 1}', "1e300", "-1.5", '"true"', "null"]


@pytest.mark.parametrize("value", OF_ANOTHER_RELEASE)
async def test_what_this_release_cannot_read_of_one_workspace_hides_no_settings(pool: Pool, value: str) -> None:
    await give(pool, ask("configure_workspace", set={"anchor_day": 15, "count_reactions": False}))
    await give(pool, ask("configure_workspace", workspace_id="other", set={"anchor_day": 9}))
    await give(pool, ask("configure_channel", channel_id="sms-1", channel="sms", count=False))
    for channel_id, name in [*(("", name) for name in WORKSPACE_DEFAULTS), ("sms-1", "count")]:
        await pool.execute(
            "INSERT INTO sluice_core.settings_log (workspace_id, channel_id, name, issued_at, command_id, value)"
            " VALUES ($1, $2, $3, '2030-01-01T00:00:00Z', gen_random_uuid(), $4::text::json)",
            *(WORKSPACE, channel_id, name, value),
        )

    # What is shown is what the workers go by: the newest value that they understand.
    assert await shown(pool) == WORKSPACE_DEFAULTS | {"anchor_day": 15, "count_reactions": False}
    assert await rows(pool, CHANNELS) == [("sms-1", "sms", None, None, False)]

    # Held as well, if another release wrote it: nothing is made up, and everybody else's are there.
    await pool.execute(
        "UPDATE sluice_core.effective_settings SET value = $2::text::jsonb WHERE workspace_id = $1", WORKSPACE, value
    )
    assert (await shown(pool))["anchor_day"] is None
    assert (await shown(pool, "other"))["anchor_day"] == 9
    assert len(await rows(pool, CHANNELS)) == 1


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


UNREADABLE: list[tuple[str, str, str]] = [
    ("", "time_zone", '"Mars/Olympus"'),
    ("", "time_zone", '"localtime"'),
    ("", "time_zone", '"right/UTC"'),
    ("", "time_zone", "null"),
    ("", "time_zone", "7"),
    ("", "time_zone", '["UTC"]'),
    ("", "time_zone", '"\\ud800"'),
    ("", "anchor_day", "32"),
    ("", "anchor_day", "1e999"),
    ("", "close_grace_hours", "-1"),
    ("", "mac_block_effect", '"of_a_newer_release"'),
    ("", "of_a_newer_release", "true"),
    ("", "quarantine_days", '{"days": 3}'),
    ("", "default_region", '"Germany"'),
    ("", "default_region", '"UK"'),
    ("whatsapp-main", "count", '"often"'),
    ("whatsapp-main", "default_region", "49"),
    ("whatsapp-main", "default_region", '"UK"'),
    ("whatsapp-main", "of_a_newer_release", "1"),
]


@pytest.mark.parametrize(("channel_id", "name", "value"), UNREADABLE)
async def test_a_stored_setting_that_cannot_be_read_counts_as_not_set(
    pool: Pool, channel_id: str, name: str, value: str
) -> None:
    await give(pool, ask("configure_workspace", set={"anchor_day": 5, "quarantine_days": 3}))
    async with pool.acquire() as connection:
        await connection.execute(
            "INSERT INTO sluice_core.settings_log (workspace_id, channel_id, name, issued_at, command_id, value)"
            " VALUES ($1, $2, $3, $4, gen_random_uuid(), $5::text::json)",
            WORKSPACE, channel_id, name, at(1), value,
        )  # fmt: skip
        await connection.execute("UPDATE sluice_core.workspaces SET version = gen_random_uuid()")

    with capture_logs() as logs:
        await ingest(pool, message(), message(workspace_id="another"))
        await ingest(pool, message(minutes=1), message(workspace_id="another", minutes=1))

    cycles = "SELECT workspace_id, cycle_start::date::text, active_contacts FROM sluice.mac_counts ORDER BY 1"
    assert await rows(pool, cycles) == [(WORKSPACE, "2026-03-05", 1), ("another", "2026-03-01", 1)]
    assert {line["name"] for line in logs if line["action"] == "setting_unreadable"} == {name}
    assert value not in str(logs)


async def test_a_setting_that_could_not_be_read_is_set_anew(pool: Pool) -> None:
    await give(pool, ask("configure_workspace", set={"time_zone": "Europe/Berlin"}))
    async with pool.acquire() as connection:
        await connection.execute("UPDATE sluice_core.settings_log SET value = '\"Europe/Atlantis\"'")
        await connection.execute("UPDATE sluice_core.workspaces SET version = gen_random_uuid()")

    wanted = {"time_zone": "Asia/Tokyo"}
    assert await results(pool, ask("configure_workspace", minutes=MONTH, set=wanted)) == [wanted]
    await ingest(pool, message())
    assert await rows(pool, "SELECT cycle_start::text FROM sluice.mac_counts") == [("2026-02-28 15:00:00+00",)]
