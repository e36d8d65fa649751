"""From when on a setting holds, and which months it divides again: the result of the command says both."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import msgspec
import pytest
from asyncpg import Pool

from tests.workers.asking import ask, give, results, rows, said
from tests.workers.ingesting import ingest
from tests.workers.records import DAY, WORKSPACE, at, message, uuid_of
from workers.rules.closing import EVER
from workers.rules.settings import CHANNEL_DEFAULTS, WORKSPACE_DEFAULTS
from workers.store import workspaces

MONTH = 31 * 24 * 60
MARCH, APRIL, MAY = (datetime(2026, month, 1, tzinfo=UTC) for month in (3, 4, 5))
CYCLES = "SELECT cycle_start FROM mac_counts ORDER BY cycle_start"


async def in_effect(pool: Pool, name: str, channel_id: str | None = None) -> list[tuple[datetime, Any]]:
    found = await rows(
        pool,
        "SELECT holds_from, value FROM settings_in_effect"
        " WHERE workspace_id = $1 AND channel_id IS NOT DISTINCT FROM $2 AND name = $3 ORDER BY holds_from",
        WORKSPACE,
        channel_id,
        name,
    )
    return [(holds_from, msgspec.json.decode(value)) for holds_from, value in found]


async def everything(pool: Pool) -> list[tuple[Any, ...]]:
    return await rows(
        pool, "SELECT * FROM settings_in_effect ORDER BY workspace_id, channel_id NULLS FIRST, name, holds_from"
    )


async def test_where_nothing_was_set_the_defaults_hold_from_the_beginning(pool: Pool) -> None:
    await ingest(pool, message())
    shown = [
        (channel, name, at_, msgspec.json.decode(value)) for _, channel, name, value, at_ in await everything(pool)
    ]
    expected: set[tuple[Any, ...]] = {(None, name, EVER, value) for name, value in WORKSPACE_DEFAULTS.items()}
    expected |= {("whatsapp-main", name, EVER, value) for name, value in CHANNEL_DEFAULTS.items()}
    assert set(shown) == expected
    assert len(shown) == len(expected)


async def test_every_value_is_shown_with_when_it_begins_to_hold(pool: Pool) -> None:
    await give(pool, ask("configure_workspace", minutes=0, set={"anchor_day": 5, "quarantine_days": 3}))
    await give(pool, ask("configure_workspace", minutes=1, set={"anchor_day": 9, "quarantine_days": 9}))
    assert await in_effect(pool, "anchor_day") == [(EVER, 5), (datetime(2026, 4, 5, tzinfo=UTC), 9)]
    assert await in_effect(pool, "quarantine_days") == [(EVER, 7), (at(0), 3), (at(1), 9)]
    assert await in_effect(pool, "time_zone") == [(EVER, "UTC")]


async def test_a_channel_holds_its_own(pool: Pool) -> None:
    channel: dict[str, Any] = {"channel_id": "sms-1", "channel": "sms"}
    await give(pool, ask("configure_channel", minutes=0, **channel, count=False, name="Desk"))
    await give(pool, ask("configure_channel", minutes=1, **channel, count=True))
    assert await in_effect(pool, "count", "sms-1") == [(EVER, False), (APRIL, True)]
    assert await in_effect(pool, "name", "sms-1") == [(EVER, None), (at(0), "Desk")]
    assert await in_effect(pool, "default_region", "sms-1") == [(EVER, None)]


async def test_a_late_zone_moves_when_other_settings_begin_to_hold(pool: Pool) -> None:
    await give(pool, ask("configure_workspace", minutes=0, set={"count_reactions": False}))
    await give(pool, ask("configure_workspace", minutes=1, set={"count_reactions": True}))
    assert await in_effect(pool, "count_reactions") == [(EVER, False), (APRIL, True)]
    await give(pool, ask("configure_workspace", minutes=2, set={"time_zone": "Asia/Tokyo"}))
    assert await in_effect(pool, "count_reactions") == [(EVER, False), (APRIL - timedelta(hours=9), True)]


async def test_whatever_order_settings_arrive_in_they_hold_alike(pool: Pool) -> None:
    asked = [
        ask("configure_workspace", minutes=0, set={"time_zone": "Asia/Tokyo", "hold_ttl_hours": 5}),
        ask("configure_workspace", minutes=9, set={"anchor_day": 20, "hold_ttl_hours": 9}),
        ask("configure_workspace", minutes=2 * MONTH, set={"time_zone": "UTC", "anchor_day": 3}),
        ask("configure_channel", minutes=MONTH, channel_id="sms-1", channel="sms", count=False),
    ]
    seen = []
    for order in permutations(asked):
        await give(pool, *order[:2])
        await give(pool, *order[2:])
        seen.append(await everything(pool))
        await rows(pool, "TRUNCATE settings_log, effective_settings, channels, commands")
        await rows(pool, "UPDATE workspaces SET version = gen_random_uuid()")
    assert all(one == seen[0] for one in seen)
    assert len(seen[0]) > len(WORKSPACE_DEFAULTS) + len(CHANNEL_DEFAULTS)


async def test_a_first_value_that_cuts_open_months_anew_says_which(pool: Pool) -> None:
    await ingest(pool, message(), message(minutes=MONTH))
    command = ask("configure_workspace", set={"time_zone": "Asia/Tokyo", "hold_ttl_hours": 5})
    outputs = await give(pool, command, now=at(MONTH))

    starts = ["2026-02-28T15:00:00Z", "2026-03-31T15:00:00Z"]
    expected = {"time_zone": "Asia/Tokyo", "hold_ttl_hours": 5, "cycles": starts}
    assert said(outputs) == [expected]
    assert [start.isoformat().replace("+00:00", "Z") for (start,) in await rows(pool, CYCLES)] == starts
    again = await give(pool, command, now=at(MONTH + 5))
    assert [o.event.value for o in again] == [o.event.value for o in outputs]


async def test_only_the_months_that_are_new_are_told(pool: Pool) -> None:
    await ingest(pool, message(), message(minutes=2 * MONTH))
    await give(pool, ask("configure_workspace", set={"anchor_day": 1}), now=at(2 * MONTH))
    # from the end of the running month on: that one and those before stay
    late = ask("configure_workspace", minutes=1, set={"anchor_day": 15})
    assert await results(pool, late, now=at(2 * MONTH)) == [{"anchor_day": 15, "cycles": ["2026-04-15T00:00:00Z"]}]
    assert await rows(pool, CYCLES) == [(MARCH,), (APRIL,), (datetime(2026, 4, 15, tzinfo=UTC),)]


@pytest.mark.parametrize(
    "given",
    [
        {"count_reactions": False},
        {"hold_ttl_hours": 1},
        {"anchor_day": 1, "time_zone": "UTC"},
        {"time_zone": "Etc/UCT"},
    ],
)
async def test_what_cuts_no_month_anew_says_nothing_of_months(pool: Pool, given: dict[str, Any]) -> None:
    await ingest(pool, message())
    [changed] = await results(pool, ask("configure_workspace", set=given))
    assert "cycles" not in changed


async def test_before_the_first_message_there_is_no_month_to_cut(pool: Pool) -> None:
    assert await results(pool, ask("configure_workspace", set={"anchor_day": 9})) == [{"anchor_day": 9}]


async def test_each_command_of_a_batch_tells_what_it_cut_itself(pool: Pool) -> None:
    await ingest(pool, message(), message(workspace_id="other"))
    asked = [
        ask("configure_workspace", minutes=0, set={"anchor_day": 5}),
        ask("configure_workspace", minutes=0, workspace_id="other", set={"count_reactions": False}),
        ask("configure_workspace", minutes=0, set={"time_zone": "Asia/Tokyo"}),
    ]
    assert await results(pool, *asked) == [
        {"anchor_day": 5, "cycles": ["2026-03-05T00:00:00Z"]},
        {"count_reactions": False},
        {"time_zone": "Asia/Tokyo", "cycles": ["2026-03-04T15:00:00Z"]},
    ]


async def test_a_setting_that_cannot_be_read_holds_never(pool: Pool) -> None:
    async with pool.acquire() as tx, tx.transaction():
        await workspaces.lock(tx, [WORKSPACE])
        await tx.execute(
            "INSERT INTO settings_log (workspace_id, channel_id, name, issued_at, command_id, value)"
            " VALUES ($1, '', 'time_zone', $2, $3, '\"Mars/Olympus\"'), ($1, '', 'unheard_of', $2, $3, '1')",
            WORKSPACE,
            DAY,
            uuid_of("theirs"),
        )
    await give(pool, ask("configure_workspace", minutes=1, set={"anchor_day": 9, "mac_limit": 3}))
    assert await in_effect(pool, "time_zone") == [(EVER, "UTC")]
    assert await in_effect(pool, "unheard_of") == []
