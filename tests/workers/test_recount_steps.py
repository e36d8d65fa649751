"""A workspace that is too large to recount in one transaction is recounted in steps, with the same result."""

import random
from typing import Any

import pytest
from asyncpg import Pool

from schemas.ids import message_id
from tests.workers.asking import ask, give, results
from tests.workers.ingesting import blocks, ingest, rows
from tests.workers.records import WORKSPACE, at, batch, message
from tests.workers.stepping import at_most, steps
from workers.app import commands_worker as commands
from workers.billing import cycles
from workers.messages import recounting
from workers.messages import worker as inbound
from workers.rules.mac import is_counted
from workers.services.job_runner import Unfinished
from workers.store import pending_work, workspaces

pytestmark = pytest.mark.usefixtures("_cycles_stay_open")

MONTH = 31 * 24 * 60
NOW = at(2 * MONTH)
VALUES: dict[str, list[Any]] = {
    "anchor_day": [1, 5, 15, 31],
    "time_zone": ["Asia/Tokyo", "America/Havana", "UTC"],
    "count_reactions": [True, False],
    "mac_block_effect": ["immediate", "next_cycle"],
}
STORED = """
SELECT i.contact_id, m.message_id, m.kind, m.channel_id, m.event_time, m.drop_reason IS NOT NULL,
    m.block_start, m.counted
FROM messages m JOIN owned_identities i USING (workspace_id, identity_id) WHERE m.workspace_id = 'acme'
ORDER BY m.event_time, m.message_id
"""
PROOFS = """
SELECT cycle_start, contact_id, first_counted_at, first_message_id FROM sluice.mac_contacts WHERE workspace_id = 'acme'
"""
COUNTS = "SELECT cycle_start, cycle_end, active_contacts FROM sluice.mac_counts WHERE workspace_id = 'acme' ORDER BY 1"
READ = """
SELECT coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::bigint FROM pg_stat_xact_user_tables
WHERE relname IN ('messages', 'mac_contacts', 'identities', 'contacts')
"""
UNDER_WAY = "SELECT kind, done, total FROM sluice.pending_work"


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    at_most(monkeypatch, 7)
    monkeypatch.setattr(recounting, "_PAGE", 3)


async def is_right(pool: Pool) -> None:
    """What is counted is what the messages come to by the settings as they are, and every cycle has its row."""
    async with pool.acquire() as tx, tx.transaction():
        tenant = (await workspaces.share(tx, {(WORKSPACE, "", "")}))[WORKSPACE]
    proofs: dict[tuple[Any, Any], tuple[Any, Any]] = {}
    for contact, id_, kind, channel_id, when, dropped, block_start, counted in await rows(pool, STORED):
        cycle, settings = tenant.calendar.at(when)
        assert counted == is_counted(
            cycle=cycle,
            settings=settings,
            kind=kind,
            channel_id=channel_id,
            dropped=dropped,
            block_start=block_start,
        )
        if counted:
            proofs.setdefault((cycle.start, contact), (when, id_))
    assert {row[:2]: row[2:] for row in await rows(pool, PROOFS)} == proofs
    assert tenant.first_message_at is not None
    expected = [
        (cycle.start, cycle.end, sum(start == cycle.start for start, _ in proofs))
        for cycle, _ in tenant.calendar.between(tenant.first_message_at, NOW)
    ]
    assert await rows(pool, COUNTS) == expected


async def finish(pool: Pool) -> None:
    await steps(pool, 1_000)
    async with pool.acquire() as tx, tx.transaction():
        while isinstance(await cycles.add_cycles(tx, NOW), Unfinished):
            pass
    assert await rows(pool, UNDER_WAY) == []


def anything(dice: random.Random, n: int) -> Any:
    kind = dice.choice(["message", "message", "reaction", "echo"])
    channel_id = dice.choice(["whatsapp-main", "whatsapp-two"])
    minutes = dice.randrange(-2 * MONTH, 2 * MONTH)
    address = f"+49151123456{dice.randrange(12):02}"
    return message(address, minutes=minutes, kind=kind, channel_id=channel_id, provider_message_id=f"{n}")


def any_setting(dice: random.Random) -> Any:
    minutes = dice.randrange(-3 * MONTH, 2 * MONTH)
    if dice.random() < 0.2:
        return ask("configure_channel", minutes=minutes, channel_id="whatsapp-two", channel="whatsapp", count=False)
    name = dice.choice([*VALUES])
    return ask("configure_workspace", minutes=minutes, set={name: dice.choice(VALUES[name])})


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("seed", range(12))
async def test_whatever_comes_meanwhile_it_ends_with_the_right_count(pool: Pool, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - repeatable, and no secret
    number = 0
    for _ in range(8):
        records = [anything(dice, number + n) for n in range(10)]
        number += 10
        await ingest(pool, *records, now=NOW)
        if dice.random() < 0.5:
            begin = dice.randrange(-2 * MONTH, MONTH)
            lookup = records[0].value.sender.address
            await blocks(pool, (begin, begin + MONTH), address=lookup, command=f"{number}")
        await give(pool, *(any_setting(dice) for _ in range(dice.randrange(3))), now=NOW)
        await steps(pool, dice.randrange(6))

    await finish(pool)

    await is_right(pool)
    await ingest(pool, *(anything(dice, number + n) for n in range(20)), now=NOW)
    await finish(pool)
    await is_right(pool)


@pytest.mark.usefixtures("_small")
async def test_a_command_takes_effect_at_once_and_its_counts_follow(pool: Pool) -> None:
    await ingest(pool, *(message(f"+49151123456{n:02}", minutes=n - 9) for n in range(20)), now=NOW)
    starts = [f"2026-{month}-10T00:00:00Z" for month in ("02", "03", "04", "05")]
    [changed] = await results(pool, ask("configure_workspace", set={"anchor_day": 10}), now=NOW)
    assert changed == {"anchor_day": 10, "cycles": starts}
    [(kind, done, total)] = await rows(pool, UNDER_WAY)
    assert (kind, total) == ("count again", 20)
    assert 0 < done < 20
    assert await rows(pool, "SELECT sum(active_contacts) FROM sluice.mac_counts") == [(20,)]

    await ingest(pool, message("+4915112345699", minutes=100), now=NOW)
    new = "SELECT active_contacts FROM sluice.mac_counts WHERE cycle_start = '2026-03-10T00:00:00Z'"
    [(already,)] = await rows(pool, new)
    assert already >= 1
    await steps(pool, 2)
    [(_, later, _)] = await rows(pool, UNDER_WAY)
    assert later > done

    await finish(pool)
    await is_right(pool)


@pytest.mark.usefixtures("_small")
async def test_a_step_that_is_lost_is_done_again(pool: Pool) -> None:
    await ingest(pool, *(message(f"+49151123456{n:02}", minutes=n) for n in range(20)), now=NOW)
    await give(pool, ask("configure_workspace", set={"anchor_day": 9}), now=NOW)
    async with pool.acquire() as tx:
        lost = tx.transaction()
        await lost.start()
        [work] = [w for w in [await pending_work.next_of(tx, WORKSPACE)] if w is not None]
        await recounting.run_step(tx, work, NOW)
        await lost.rollback()
    async with pool.acquire() as tx, tx.transaction():
        await recounting.run_step(tx, work, NOW)  # done, but nobody wrote down that it was

    await finish(pool)

    await is_right(pool)


@pytest.mark.usefixtures("_small")
async def test_while_a_step_is_under_way_messages_of_others_are_accepted(pool: Pool) -> None:
    await ingest(pool, *(message(f"+49151123456{n:02}", minutes=n) for n in range(20)), now=NOW)
    await give(pool, ask("configure_workspace", set={"anchor_day": 9}), now=NOW)
    async with pool.acquire() as tx, tx.transaction():
        work = await pending_work.next_of(tx, WORKSPACE)
        assert work is not None
        await recounting.run_step(tx, work, NOW)
        async with pool.acquire() as other, other.transaction():
            await other.execute("SET LOCAL lock_timeout = '1s'")
            await inbound.apply(other, batch(message("+4915112345688", minutes=50), now=NOW))
            await inbound.apply(other, batch(message(workspace_id="other"), now=NOW))
    await finish(pool)

    await is_right(pool)


@pytest.mark.usefixtures("_small")
async def test_a_contact_with_very_many_messages_takes_several_steps(pool: Pool) -> None:
    many = [message(minutes=n * 100 - MONTH, kind="reaction" if n % 3 else "message") for n in range(60)]
    await ingest(pool, *many, message("+4915112345600", minutes=1), now=NOW)
    await give(pool, ask("configure_workspace", set={"anchor_day": 17, "count_reactions": False}), now=NOW)
    assert len(await rows(pool, UNDER_WAY)) == 1

    await finish(pool)

    await is_right(pool)


async def test_one_message_of_long_ago_does_not_multiply_what_is_read(pool: Pool) -> None:
    old = message("+4915112345699", provider_message_id="old")
    await ingest(pool, *(message(f"+49151{n:08}", minutes=n / 10) for n in range(2_000)), old, now=NOW)
    await rows(pool, "UPDATE workspaces SET first_message_at = '2000-01-05T00:00:00Z'")
    of_long_ago = "UPDATE messages SET event_time = '2000-01-05T00:00:00Z' WHERE message_id = $1"
    m = old.value
    await rows(pool, of_long_ago, message_id(m.workspace_id, m.channel_id, "in", m.provider_message_id))
    async with pool.acquire() as connection:
        await connection.execute("ANALYZE")
    async with pool.acquire() as tx, tx.transaction():
        before = await tx.fetchval(READ)
        await commands.apply(tx, batch(ask("configure_workspace", set={"anchor_day": 9}), now=NOW))
        assert await tx.fetchval(READ) - before < 25 * 2_000  # and not times 315 cycles

    assert await rows(pool, UNDER_WAY) == []
    await finish(pool)
