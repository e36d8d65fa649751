"""The cost of a change of settings does not grow with the number of earlier changes."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any

import msgspec
import pytest
from asyncpg import Pool

from tests.workers.asking import ask, give, results
from tests.workers.ingesting import ingest, rows
from tests.workers.records import DAY, WORKSPACE, at, batch, message, uuid_of
from workers.app import commands_worker as commands
from workers.messages import worker as inbound
from workers.records import Record
from workers.rules.closing import EVER
from workers.rules.cycles import Setting, calendar_of
from workers.rules.settings import enter, goes_by_cycle
from workers.store import workspaces

READ = """
SELECT coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::bigint FROM pg_stat_xact_user_tables
WHERE relname = 'settings_log'
"""
SHOWN = "SELECT name, value FROM settings_in_effect WHERE channel_id IS NULL ORDER BY name, holds_from"
MONTH = 31 * 24 * 60


async def stored(pool: Pool, count: int) -> None:
    """So many settings of one workspace, each a second after the one before, as commands would have stored them."""
    names: list[tuple[str, Sequence[Any]]] = [
        ("anchor_day", [*range(1, 29)]),
        ("count_reactions", [False, True]),
        ("quarantine_days", [*range(30)]),
    ]
    settings, gone = [], []
    logs: dict[str, list[Setting]] = {}
    for n in range(count):
        name, values = names[n % len(names)]
        setting = Setting(DAY - timedelta(seconds=count - n), uuid_of(f"{n}"), "", name, values[n // 3 % len(values)])
        settings.append((WORKSPACE, setting))
        gone += [(WORKSPACE, s) for s in enter(logs.setdefault(name, []), setting).superseded]
    async with pool.acquire() as tx, tx.transaction():
        await workspaces.lock(tx, [WORKSPACE])
        await workspaces.add_settings(tx, settings, gone)
        await workspaces.hold_settings(tx, {WORKSPACE: [s for log in logs.values() for s in log]})
        await workspaces.hold_at_once(tx, {(WORKSPACE, "", "quarantine_days"): EVER})
    async with pool.acquire() as connection:
        await connection.execute("ANALYZE sluice_core.settings_log")


async def read(pool: Pool, room: Any, *records: Record[Any]) -> int:
    """How many settings the worker reads for a poll."""
    async with pool.acquire() as tx, tx.transaction():
        before = await tx.fetchval(READ)
        await room.apply(tx, batch(*records))
        return int(await tx.fetchval(READ)) - int(before)


@pytest.mark.parametrize("count", [10, 1_000, 100_000])
async def test_a_change_and_what_follows_read_few_settings_however_many_there_were(pool: Pool, count: int) -> None:
    await stored(pool, count)
    later = ask("configure_workspace", minutes=1, set={"count_reactions": True, "quarantine_days": 77})
    earlier = ask("configure_workspace", minutes=-30, set={"anchor_day": 30, "mac_limit": 5})

    for command in (later, earlier):
        assert await read(pool, commands, command) < 1_000
        assert await read(pool, inbound, message(provider_message_id=str(command.offset))) < 1_000


async def test_2300_changes_of_one_workspace_leave_it_as_they_would_one_by_one(pool: Pool) -> None:
    def change(n: int) -> Record[Any]:
        return ask(
            "configure_workspace",
            minutes=n / 60,
            set={"anchor_day": n % 28 + 1, "hold_ttl_hours": n % 99 + 1, "count_reactions": n % 3 == 0},
        )

    flood = [change(n) for n in range(2_300)]
    await ingest(pool, message())
    for first in range(0, len(flood), 500):
        outputs = await give(pool, *flood[first : first + 500])
        assert len(outputs) == len(flood[first : first + 500])

    async with pool.acquire() as tx, tx.transaction():
        tenant = (await workspaces.share(tx, {(WORKSPACE, "", "")}))[WORKSPACE]
    assert len(tenant.settings) <= 2 * (2_300 // 900 + 3) + 1
    everything = [
        Setting(at(n / 60), uuid_of(f"{n}"), "", name, value)
        for n in range(2_300)
        for name, value in (("anchor_day", n % 28 + 1), ("count_reactions", n % 3 == 0))
    ]
    told = calendar_of(everything)
    for later in range(0, 400 * MONTH // 31, 24 * 60):
        assert tenant.calendar.at(at(later)) == told.at(at(later))
    assert tenant.policies.hold_ttl_hours == 2_299 % 99 + 1
    assert all(goes_by_cycle(s) or s.name == "hold_ttl_hours" for s in tenant.settings)


async def test_settings_that_hold_from_the_next_cycle_on_count_nothing_again(pool: Pool) -> None:
    await ingest(pool, *(message(f"+49151123456{n:02}") for n in range(20)))
    await give(pool, ask("configure_workspace", minutes=1, set={"anchor_day": 1, "count_reactions": True}))
    written = "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint FROM pg_stat_xact_user_tables"
    written += " WHERE relname IN ('mac_contacts', 'mac_shards', 'mac_cycles', 'messages')"

    async with pool.acquire() as tx, tx.transaction():
        before = await tx.fetchval(written)
        later = ask("configure_workspace", minutes=2, set={"anchor_day": 9, "count_reactions": False})
        await commands.apply(tx, batch(later, now=at(3)))
        assert await tx.fetchval(written) == before


async def test_what_was_set_between_is_still_told(pool: Pool) -> None:
    for n in range(5):
        await give(pool, ask("configure_workspace", minutes=n, set={"quarantine_days": n, "anchor_day": n + 1}))

    shown = dict.fromkeys(name for name, _ in await rows(pool, SHOWN))
    assert len(shown) >= 12
    assert [value for name, value in await rows(pool, SHOWN) if name == "quarantine_days"] == ["7", *"01234"]
    assert [value for name, value in await rows(pool, SHOWN) if name == "anchor_day"] == ["1", "5"]


async def test_ten_thousand_test_channels_cost_a_calendar_little(pool: Pool) -> None:
    settings = [Setting(DAY, uuid_of(f"{n}"), f"c{n}", "count", value=False) for n in range(10_000)]
    settings += [
        Setting(datetime(2027 + n // 12, n % 12 + 1, 5, tzinfo=UTC), uuid_of(f"l{n}"), "c1", "count", value=n % 2 == 0)
        for n in range(300)
    ]
    calendar = calendar_of(settings)
    for n in (0, 9_999):
        assert f"c{n}" in calendar.at(datetime(2050, 1, 1, tzinfo=UTC))[1].uncounted_channels
    assert "c1" not in calendar.at(datetime(2027, 2, 2, tzinfo=UTC))[1].uncounted_channels
    assert "c1" in calendar.at(datetime(2027, 3, 2, tzinfo=UTC))[1].uncounted_channels
    assert await results(pool, ask("configure_channel", channel_id="x", channel="sms", count=False)) == [
        {"channel": "sms", "count": False}
    ]


@pytest.mark.parametrize("seed", range(5))
async def test_what_holds_at_once_is_told_alike_in_whatever_order_and_batches_it_comes(pool: Pool, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - repeatable, and no secret
    values: dict[str, list[Any]] = {"quarantine_days": [7], "hold_ttl_hours": [72], "name": [None]}
    asked: list[Record[Any]] = []
    set_: list[tuple[datetime, bytes, str, Any]] = []
    for n in range(30):
        name, value, minutes = dice.choice([*values]), dice.randrange(1, 4), dice.randrange(9)
        given: dict[str, Any] = {"set": {name: value}}
        if name == "name":
            given = {"channel_id": "x", "channel": "sms", "name": str(value)}
        command = "configure_channel" if name == "name" else "configure_workspace"
        asked.append(ask(command, minutes=minutes, command_id=uuid_of(f"{n}"), **given))
        set_.append((at(minutes), uuid_of(f"{n}").bytes, name, str(value) if name == "name" else value))
    dice.shuffle(asked)
    for first in range(0, 30, 4):
        await give(pool, *asked[first : first + 4])

    for name, [default] in values.items():
        by_time = {EVER: default} | {moment: value for moment, _, named, value in sorted(set_) if named == name}
        turns = [next(same) for _, same in groupby(by_time.items(), key=itemgetter(1))]
        told = "SELECT holds_from, value FROM settings_in_effect WHERE name = $1 ORDER BY 1"
        assert [(moment, msgspec.json.decode(value)) for moment, value in await rows(pool, told, name)] == turns
