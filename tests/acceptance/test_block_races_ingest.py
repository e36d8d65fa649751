"""Concurrent transactions: a block and the messages it covers, two first messages of one contact, many at once."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any

import pytest
from asyncpg import DeadlockDetectedError, Pool, SerializationError

from schemas.ids import message_id
from tests.acceptance.views import told
from tests.workers.records import DAY, at, batch, message, record, uuid_of
from workers.app import commands_worker as commands
from workers.errors import RetryBatch
from workers.messages import worker as inbound
from workers.records import Output, Record
from workers.runtime.worker_spec import Apply
from workers.workflows import worker as workflows

Records = Sequence[Record[Any]]
Pause = Callable[[int], Awaitable[None]]
"""Called with the backend's pid once everything is applied and nothing committed."""

MONTH = 31 * 24 * 60
ROUNDS = 200


class Conflicts(Counter[str]):
    """Why transactions were tried again."""


async def at_once(_: int) -> None:
    """Commit without waiting."""


async def applied(
    pool: Pool, apply: Apply, records: Records, conflicts: Conflicts | None = None, pause: Pause = at_once
) -> list[Output]:
    """One poll in one transaction, tried again for the reasons for which the engine does."""
    while True:
        try:
            async with pool.acquire() as tx, tx.transaction():
                outputs = await apply(tx, batch(*records, now=DAY))
                await pause(tx.get_server_pid())
                return outputs
        except RetryBatch:
            reason = "retry"
        except DeadlockDetectedError:
            reason = "deadlock"
        except SerializationError:
            reason = "moved"
        if conflicts is not None:
            conflicts[reason] += 1


async def one_behind_the_other(
    pool: Pool, first: tuple[Apply, Records], second: tuple[Apply, Records]
) -> tuple[list[Output], list[Output]]:
    """`first` commits when `second` waits for it; if nothing makes `second` wait, when it has committed."""
    behind: list[asyncio.Task[list[Output]]] = []

    async def let_the_other_come(pid: int) -> None:
        behind.append(asyncio.create_task(applied(pool, *second)))
        waits = False
        while not waits and not behind[0].done():
            waits = await pool.fetchval(WAITS_FOR, pid)

    outputs = await applied(pool, *first, pause=let_the_other_come)
    return outputs, await behind[0]


WAITS_FOR = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid)))"


def block(address: str, minutes: float, *, command: str = "block_contact", name: str = "") -> Record[Any]:
    fields = {
        "workspace_id": "acme",
        "command": command,
        "command_id": uuid_of(f"{command} {address} {minutes} {name}"),
        "actor": {"id": "ann", "role": "owner", "module": "inbox"},
        "issued_at": at(minutes),
        "identity": {"channel": "whatsapp", "address": address},
    }
    return record("contacts.commands", fields, timestamp=at(minutes))


def number(n: int) -> str:
    return f"+4915112{n:06}"


@pytest.mark.parametrize("introduced", [(0,), ()], ids=["somebody known", "a stranger"])
async def test_no_message_slips_past_a_block_that_comes_at_the_same_time(
    pool: Pool, introduced: tuple[int, ...]
) -> None:
    outputs: list[Output] = []
    addresses = [number(n) for n in range(ROUNDS // 2)]
    outputs += await applied(pool, inbound.apply, [message(a, minutes=m) for a in addresses for m in introduced])
    for n, address in enumerate(addresses):
        said = inbound.apply, [message(address, minutes=m) for m in (5, 10, 11)]
        blocked = commands.apply, [block(address, 10)]
        both: Sequence[list[Output]]
        match n % 3:
            case 0:
                both = await one_behind_the_other(pool, said, blocked)
            case 1:
                both = await one_behind_the_other(pool, blocked, said)
            case _:
                both = await asyncio.gather(applied(pool, *said), applied(pool, *blocked))
        outputs += [*both[0], *both[1]]

    def ids(*minutes: int) -> set[Any]:
        return {message_id("acme", "whatsapp-main", "in", f"{a}-{m}-message") for a in addresses for m in minutes}

    shown, hidden = ids(*introduced, 5), ids(10, 11)
    assert {r[0] for r in await pool.fetch("SELECT message_id FROM conversation_messages")} == shown
    ledger = [r[0] for r in await pool.fetch("SELECT message_id FROM drop_ledger")]
    assert (len(ledger), set(ledger)) == (len(hidden), hidden)
    verdicts, _ = told(output.event for output in sorted(outputs, key=lambda o: o.event.topic))
    assert verdicts == dict.fromkeys(shown, "accepted") | dict.fromkeys(hidden, "dropped")
    assert await pool.fetchval("SELECT count(*) FROM blocked_contacts") == len(addresses)


async def test_two_first_messages_at_once_make_one_contact_with_one_conversation(pool: Pool) -> None:
    for n in range(60):
        one = inbound.apply, [message(number(n), minutes=1, partition=0)]
        other = inbound.apply, [message(number(n), minutes=2, partition=1)]
        if n % 2:
            await one_behind_the_other(pool, one, other)
        else:
            await asyncio.gather(applied(pool, *one), applied(pool, *other))

    assert await pool.fetchval("SELECT count(*) FROM contact_overview WHERE conversation_status = 'open'") == 60
    assert await pool.fetchval("SELECT count(*) FROM contact_overview") == 60
    conversations = await pool.fetch("SELECT count(*) FROM conversation_messages GROUP BY conversation_id")
    assert [r[0] for r in conversations] == [2] * 60
    assert await pool.fetchval("SELECT active_contacts FROM mac_counts") == 60


@pytest.mark.parametrize("order", [("older", "newer"), ("newer", "older")], ids=" before ".join)
async def test_two_that_name_a_contact_at_once_leave_the_newest_name(pool: Pool, order: tuple[str, str]) -> None:
    """One number that is written in two ways comes with two keys, and maybe on two partitions."""
    minutes, spelt = {"older": 5, "newer": 10}, (number(1), number(1).replace("+", "00"))
    await applied(pool, inbound.apply, [message(spelt[0], name="before")])
    one, other = ([message(spelt[p], minutes=minutes[name], name=name, partition=p)] for p, name in enumerate(order))
    await one_behind_the_other(pool, (inbound.apply, one), (inbound.apply, other))

    assert await pool.fetchval("SELECT display_name FROM contact_overview") == "newer"


async def test_one_message_from_two_partitions_at_once_is_applied_once(pool: Pool) -> None:
    conflicts = Conflicts()
    for n in range(60):
        copies = [message(number(n), minutes=1, partition=p) for p in (0, 1)]
        outputs = await asyncio.gather(*(applied(pool, inbound.apply, [copy], conflicts) for copy in copies))
        assert sorted(len(o) for o in outputs) == [0, 1]

    assert await pool.fetchval("SELECT count(*) FROM conversation_messages") == 60
    assert await pool.fetchval("SELECT active_contacts FROM mac_counts") == 60
    assert await pool.fetchval("SELECT count(*) FROM message_conflicts") == 0
    assert conflicts["deadlock"] == 0


async def test_one_block_given_twice_at_once_is_carried_out_once(pool: Pool) -> None:
    for n in range(30):
        command = block(number(n), 10)
        results = await asyncio.gather(*(applied(pool, commands.apply, [command]) for _ in range(2)))
        [first], [second] = results
        assert (first.event.ce_id, first.event.value) == (second.event.ce_id, second.event.value)

    assert await pool.fetchval("SELECT count(*) FROM blocked_contacts") == 30
    assert await pool.fetchval("SELECT count(*) FROM audit_log") == 30


async def test_batches_over_the_same_contacts_in_any_direction_never_deadlock(pool: Pool) -> None:
    dice, conflicts = Random(1), Conflicts()  # noqa: S311 - the same every time
    addresses = [number(n) for n in range(40)]

    def messages_(turn: int, partition: int) -> tuple[Apply, Records]:
        month = MONTH * dice.randrange(3)
        said = [
            message(a, minutes=turn + month + 0.1 * partition, name=f"n{turn}", partition=partition) for a in addresses
        ]
        return inbound.apply, dice.sample(said, len(said))

    def commands_(turn: int) -> tuple[Apply, Records]:
        kinds = ("block_contact", "unblock_contact")
        given = [block(a, turn, command=dice.choice(kinds), name=str(dice.random())) for a in addresses]
        return commands.apply, dice.sample(given, len(given))

    def runs(turn: int) -> tuple[Apply, Records]:
        events = [run_started(a, f"{a} {turn}", turn) for a in addresses]
        return workflows.apply, dice.sample(events, len(events))

    for turn in range(12):
        polls = [
            messages_(turn, 0),
            messages_(turn, 1),
            messages_(turn, 2),
            commands_(turn),
            commands_(turn + 1),
            runs(turn),
        ]
        await asyncio.gather(*(applied(pool, *poll, conflicts) for poll in polls))

    assert conflicts["deadlock"] == 0
    assert await pool.fetchval("SELECT count(*) FROM contact_overview") == len(addresses)
    stored = await pool.fetchval("SELECT count(*) FROM drop_ledger") + await pool.fetchval(
        "SELECT count(*) FROM conversation_messages"
    )
    assert stored == 12 * 3 * len(addresses)
    differing = (
        "SELECT cycle_start FROM mac_counts c"
        " WHERE active_contacts <> (SELECT count(*) FROM mac_contacts m WHERE m.cycle_start = c.cycle_start)"
    )
    assert await pool.fetch(differing) == []


async def test_first_messages_of_new_workspaces_never_deadlock(pool: Pool) -> None:
    """They come from several months at once, as when an adapter sends what it had kept."""
    conflicts = Conflicts()
    for n in range(40):
        polls = [
            [message(number(p), minutes=-MONTH * months, workspace_id=f"w{n}", partition=p) for months in order]
            for p, order in enumerate(((0, 2, 4), (4, 2, 0), (1,), (3,), (5, 0)))
        ]
        await asyncio.gather(*(applied(pool, inbound.apply, poll, conflicts) for poll in polls))

    assert conflicts["deadlock"] == 0
    cycles = await pool.fetch("SELECT count(*) FROM mac_counts GROUP BY workspace_id")
    assert [r[0] for r in cycles] == [6] * 40


def run_started(address: str, run_id: str, minutes: float) -> Record[Any]:
    fields = {
        "workspace_id": "acme",
        "event": "run_started",
        "run_id": run_id,
        "workflow_id": "w",
        "trigger": "automatic",
        "at": at(minutes),
        "identity": {"channel": "whatsapp", "address": address},
    }
    return record("workflows.events", fields, timestamp=at(minutes))
