"""A block history is a function of the set of its commands; a change costs the same for any number of them."""

import random
from datetime import datetime
from itertools import count
from typing import Any, Final
from uuid import UUID

import pytest
from asyncpg import Pool
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.contact_commands import UnblockContact
from tests.workers.asking import ask, by_phone, contact_of, results, rows
from tests.workers.ingesting import ingest
from tests.workers.records import WORKSPACE, at, message, uuid_of
from tests.workers.runs import apply, start, step
from workers.rules import blocks as rules
from workers.rules.blocks import BlockCommand, Interval, covering, first_change, history
from workers.store import blocks, contacts

ANA: Final = "+4915112345678"
ROW: Final = "SELECT blocks, blocks_since, blocked_at, blocked_by FROM contacts WHERE workspace_id = $1"
COMMANDS: Final = "SELECT issued_at, unblocks, command_id, actor_id FROM block_commands WHERE workspace_id = $1"
MINUTES: Final = 9
MOMENTS: Final = [at(minute + half) for minute in range(MINUTES + 1) for half in (0, 0.5)]

WORKSPACES = count(1)
given_times = st.lists(st.tuples(st.integers(0, MINUTES), st.booleans(), st.booleans()), min_size=1, max_size=22)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_times, st.randoms(use_true_random=False), st.sampled_from([1, 2, 16]))
async def test_any_order_of_arrival_gives_the_same_history(
    pool: Pool, given_at: list[tuple[int, bool, bool]], chance: random.Random, most: int
) -> None:
    workspace_id = f"w{next(WORKSPACES)}"
    await ingest(pool, message(ANA, workspace_id=workspace_id))
    ana = await contact_of(pool, ANA, workspace_id)
    asked = [
        ask(
            "unblock_contact" if unblocks else "block_contact",
            minutes=minute,
            workspace_id=workspace_id,
            actor=f"actor-{number}",
            **({"contact_id": ana} if by_id else {"identity": by_phone(ANA)}),
        )
        for number, (minute, unblocks, by_id) in enumerate(given_at)
    ]
    chance.shuffle(asked)
    known: list[BlockCommand] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rules, "KEPT", most)
        while asked:
            polled = chance.randint(1, len(asked))
            told = await results(pool, *asked[:polled])
            for command, changed in zip(asked[:polled], told, strict=True):
                before, value = history(known), command.value
                unblocks = isinstance(value, UnblockContact)
                known.append(BlockCommand(value.issued_at, unblocks, value.command_id, value.actor.id))
                assert bool(changed) == (first_change(before, history(known)) is not None)
            asked = asked[polled:]
    await check(pool, workspace_id, ana, history(known), most)
    assert {BlockCommand(*row) for row in await rows(pool, COMMANDS, workspace_id)} == set(known)


async def check(pool: Pool, workspace_id: str, contact_id: UUID, expected: tuple[Interval, ...], most: int) -> None:
    """What is stored of a history, and what is found of it at every moment, in Python and in SQL."""
    [(ranges, since, blocked_at, blocked_by)] = await rows(pool, ROW, workspace_id)
    assert [(r.lower, r.upper) for r in ranges] == [(i.start, i.end) for i in expected[-most:]]
    assert (since is None) == (len(expected) <= most)
    assert since is None or expected[-most - 1].end <= since <= expected[-most].start
    open_one = expected[-1] if expected and expected[-1].end is None else None
    assert (blocked_at, blocked_by) == ((open_one.start, open_one.blocked_by) if open_one else (None, None))

    key = workspace_id, contact_id
    async with pool.acquire() as tx, tx.transaction():
        found = await contacts.lock_shared(tx, [key])
        for moment in MOMENTS:
            seen = (await blocks.reaching(tx, found, [(key, moment)]))[key].intervals
            assert _ends(covering(seen, moment)) == _ends(covering(expected, moment))
            assert _next(seen, moment) == _next(expected, moment)
        older = await tx.fetch("SELECT older_block($1, $2, at) FROM unnest($3::timestamptz[]) AS at", *key, MOMENTS)
    assert [block and (block.lower, block.upper) for (block,) in older] == [
        _ends(covering(expected, m)) for m in MOMENTS
    ]


def _ends(interval: Interval | None) -> tuple[datetime, datetime | None] | None:
    return (interval.start, interval.end) if interval is not None else None


def _next(intervals: tuple[Interval, ...], at: datetime) -> datetime | None:
    return next((i.start for i in intervals if i.start > at), None)


READ: Final = """
    SELECT coalesce(sum(idx_tup_fetch + seq_tup_read), 0) FROM pg_stat_xact_user_tables WHERE relname = 'block_commands'
"""
HISTORY: Final = """
    INSERT INTO block_commands (workspace_id, contact_id, issued_at, unblocks, command_id, actor_id)
    SELECT $1, $2, $3::timestamptz - n * interval '1 minute', n % 2 = 1, md5(n::text)::uuid, 'ann'
    FROM generate_series(1, $4::int) n
"""


async def long_history(pool: Pool, commands: int) -> UUID:
    """A contact that was blocked and unblocked every other minute up to the tests' day; not blocked now."""
    await ingest(pool, message(ANA, minutes=-10_000_000))
    ana = await contact_of(pool, ANA)
    async with pool.acquire() as tx, tx.transaction():
        await tx.execute(HISTORY, WORKSPACE, ana, at(0), commands)
        intervals = tuple(Interval(at(-n), at(-n + 1)) for n in range(2 * rules.KEPT, 0, -2))
        await contacts.save_blocks(tx, {(WORKSPACE, ana): intervals}, {(WORKSPACE, ana): intervals[0].start})
    await pool.execute("ANALYZE")
    return ana


async def test_five_thousand_commands_of_one_contact_are_applied_within_one_transaction(pool: Pool) -> None:
    """However long its history is: 50,000 were given before."""
    await long_history(pool, 50_000)
    names = ("block_contact", "unblock_contact")
    flood = [ask(names[n % 2], minutes=n, identity=by_phone(ANA), timestamp=at(6000)) for n in range(5_000)]
    told = await results(pool, *flood)
    assert len(told) == 5_000
    assert all(told)
    [(ranges, since, blocked_at, _)] = await rows(pool, ROW, WORKSPACE)
    assert [(r.lower, r.upper) for r in ranges] == [(at(n), at(n + 1)) for n in range(4_968, 5_000, 2)]
    assert (since, blocked_at) == (at(4_967), None)


async def test_whatever_is_older_than_a_row_tells_is_judged_by_the_whole_history(pool: Pool) -> None:
    ana = await long_history(pool, 1_000)
    blocked, free = -400 + 0.5, -401 + 0.5
    await ingest(pool, message(ANA, minutes=blocked), message(ANA, minutes=free))
    assert await rows(pool, "SELECT event_time FROM sluice.drop_ledger") == [(at(blocked),)]
    assert await rows(pool, "SELECT block_start FROM messages WHERE drop_reason IS NOT NULL") == [(at(-400),)]

    contact = str(ana)
    await apply(pool, start("in", blocked, contact_id=contact), start("out", free, contact_id=contact))
    await apply(pool, start("shortcut", blocked, "shortcut", contact_id=contact))
    await apply(pool, step("shortcut", blocked + 0.1, "send_message"))
    runs = "SELECT run_id, state, reason, halted_at FROM workflow_runs ORDER BY run_id"
    assert await rows(pool, runs) == [
        ("in", "refused", "contact_blocked", at(blocked)),
        ("out", "halted", "contact_blocked", at(-400)),
        ("shortcut", "halted", "blocked_contact_step", at(blocked + 0.1)),
    ]

    refusals = "SELECT refusals($1, ARRAY[$2::uuid], $3, false, false, '{}')"
    assert await rows(pool, refusals, WORKSPACE, ana, at(blocked)) == [(["contact_blocked"],)]
    assert await rows(pool, refusals, WORKSPACE, ana, at(free)) == [([],)]


async def test_a_command_that_comes_very_late_revises_what_is_around_it_alone(pool: Pool) -> None:
    await long_history(pool, 1_000)
    await ingest(pool, *(message(ANA, minutes=n + 0.5) for n in range(-450, -350)))
    late: dict[str, Any] = {"identity": by_phone(ANA), "timestamp": at(0)}
    [unblocked] = await results(pool, ask("unblock_contact", minutes=-399.75, **late))
    assert unblocked["messages_revised"] == 1
    [blocked] = await results(pool, ask("block_contact", minutes=-401, **late))
    assert blocked["messages_revised"] == 1
    assert await rows(pool, "SELECT block_start FROM messages WHERE event_time = $1", at(-401 + 0.5)) == [(at(-401),)]
    assert (await rows(pool, "SELECT count(*) FROM sluice.drop_ledger"))[0] == (50,)


async def test_a_block_among_a_hundred_thousand_reads_a_handful(pool: Pool) -> None:
    ana = await long_history(pool, 100_000)
    for minutes in (10, -5_000.5, -99_000.5):
        command = BlockCommand(at(minutes), unblocks=False, command_id=uuid_of("c"), actor_id="ann")
        for mode in ("force_custom_plan", "force_generic_plan"):
            async with pool.acquire() as tx, tx.transaction():
                await tx.execute(f"SET LOCAL plan_cache_mode = {mode}")
                before = await tx.fetchval(READ)
                await blocks.around(tx, [blocks.BlockRow(WORKSPACE, ana, command)])
                assert await tx.fetchval(READ) - before <= 10
