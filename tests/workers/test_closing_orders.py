"""Whatever order partitions are applied in, and whenever the cycle closes: the closed figure has the facts on time, and
with its adjustments it is what all facts give (contract 3.2, 5.6).
"""

import random
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from asyncpg import Pool

from tests.workers.asking import ask, by_phone, contact_of, give
from tests.workers.closing_cycles import applied_past, close
from tests.workers.ingesting import ingest, rows
from tests.workers.records import at, message, uuid_of
from tests.workers.stepping import steps
from tests.workers.verified import verified
from workers.records import Record

END = 22 * 1440.0
"""The end of the cycle, in minutes."""
CLOSES = END + 72 * 60
PEOPLE = ("+4915112000001", "+4915112000002", "+4915112000003")


class Fact(NamedTuple):
    """Something that happens: a record of a partition, for a workspace that is given later."""

    minutes: float
    kafka: float
    partition: str
    what: str
    who: int
    other: int = 0

    @property
    def on_time(self) -> bool:
        return self.kafka < CLOSES


def facts_of(dice: random.Random) -> list[Fact]:
    """Facts of some days around the end of the cycle, each known up to six days later."""
    found = []
    for n in range(dice.randrange(3, 14)):
        minutes = END + dice.choice((-3_000, -2_000, -1_000, -10, 5, 2_000, 4_000, 4_400)) + n / 10
        kafka = max(minutes, minutes + dice.choice((0, 0, 1, 100, 4_300, 5_000, 7_000)))
        what = dice.choices(("message", "echo", "block", "unblock"), (5, 1, 3, 2))[0]
        partition = "commands" if what in ("block", "unblock") else dice.choice(("inbound 0", "inbound 1"))
        found.append(Fact(minutes, kafka, partition, what, dice.randrange(len(PEOPLE))))
    return found


def acquaintances() -> list[Fact]:
    """Everybody writes in the cycle before, so that each command knows whom it is about."""
    return [Fact(-20_000 + n, -20_000 + n, "inbound 0", "message", n) for n in range(len(PEOPLE))]


def at_once_of(dice: random.Random) -> list[Fact]:
    """The same in workspaces where a block takes its messages out of its own cycle as well."""
    return [*acquaintances(), *facts_of(dice)]


def merges_of(dice: random.Random) -> list[Fact]:
    """Everybody writes early; then come messages, merges and their undos. Merges are judged when they are applied, so
    the commands keep their order: all are known equally late.
    """
    found = acquaintances()
    for n in range(dice.randrange(1, 9)):
        minutes = END + dice.choice((-3_000, -1_000, -10, 5, 2_000, 4_000)) + n / 10
        known = minutes + dice.choice((0, 1, 4_300, 5_000, 9_000))
        found.append(Fact(minutes, known, f"inbound {dice.randrange(2)}", "message", dice.randrange(len(PEOPLE))))
    begin, delay = (
        END + dice.choice((-3_000, -500, 1_000, 3_500, 4_000, 4_400, 4_900)),
        dice.choice((0, 100, 500, 4_300)),
    )
    commands = [(begin, "merge", 1)]
    if dice.random() < 0.6:
        commands.append((begin + 600, "undo", 1))
    if dice.random() < 0.4:
        commands.append((begin + 1_200, "merge", 2))
    return found + [Fact(minutes, minutes + delay, "commands", what, 0, who) for minutes, what, who in commands]


def record_of(fact: Fact, number: int, workspace: str) -> Record[Any]:
    phone = PEOPLE[fact.who]
    if fact.what in ("merge", "undo"):
        return _merge_or_undo(fact, number, workspace)
    if fact.what in ("block", "unblock"):
        return ask(
            f"{fact.what}_contact",
            minutes=fact.minutes,
            timestamp=at(fact.kafka),
            workspace_id=workspace,
            identity=by_phone(phone),
        )
    return message(
        phone,
        minutes=fact.minutes,
        late_minutes=fact.kafka - fact.minutes,
        kind="echo" if fact.what == "echo" else "message",
        provider_message_id=f"m{number}",
        workspace_id=workspace,
    )


def _merge_or_undo(fact: Fact, number: int, workspace: str) -> Record[Any]:
    ids = [str(contact_ids[workspace, who]) for who in (fact.who, fact.other)]
    what: dict[str, Any] = {"survivor_id": ids[0], "loser_id": ids[1]}
    if fact.what == "undo":
        what = {"merge_id": str(merge_ids[workspace])}
    command = ask(
        "merge_contacts" if fact.what == "merge" else "undo_merge",
        minutes=fact.minutes,
        timestamp=at(fact.kafka),
        workspace_id=workspace,
        command_id=uuid_of(f"{workspace} {number}"),
        **what,
    )
    if fact.what == "merge":
        merge_ids[workspace] = command.value.command_id
    return command


contact_ids: dict[tuple[str, int], UUID] = {}
merge_ids: dict[str, UUID] = {}


def orders(facts: Sequence[Fact], dice: random.Random) -> list[Fact]:
    """The facts in some order in which partitions keep theirs."""
    lanes: dict[str, list[Fact]] = {}
    first = [fact for fact in facts if fact.minutes < 0]
    for fact in sorted((f for f in facts if f.minutes >= 0), key=lambda f: f.kafka):
        lanes.setdefault(fact.partition, []).append(fact)
    found = first
    while lanes:
        lane = dice.choice(sorted(lanes))
        found.append(lanes[lane].pop(0))
        if not lanes[lane]:
            del lanes[lane]
    return found


async def block_at_once(pool: Pool, *workspaces: str) -> None:
    """A block takes its messages out of its own cycle as well."""
    at_once = {"mac_block_effect": "immediate"}
    await give(pool, *(ask("configure_workspace", minutes=-60, set=at_once, workspace_id=w) for w in workspaces))


async def apply(pool: Pool, facts: Sequence[Fact], numbers: dict[Fact, int], workspace: str) -> None:
    for fact in facts:
        if fact.what in ("merge", "undo") and (workspace, 0) not in contact_ids:
            contact_ids.update({(workspace, n): await contact_of(pool, p, workspace) for n, p in enumerate(PEOPLE)})
        record = record_of(fact, numbers[fact], workspace)
        if fact.partition == "commands":
            await give(pool, record, now=at(fact.kafka))
        else:
            await ingest(pool, record, now=at(fact.kafka))
    await steps(pool, 20)


FIGURES = """
    SELECT cycle_start, closed_contacts, active_contacts, active_contacts + adjustments FROM sluice.mac_counts
    JOIN mac_cycles USING (workspace_id, cycle_start) WHERE workspace_id = $1 ORDER BY cycle_start
"""
NETS = """
    SELECT contact_id, sum(amount) FROM sluice_core.mac_adjustments WHERE workspace_id = $1
    GROUP BY cycle_start, contact_id HAVING sum(amount) NOT IN (-1, 0, 1)
"""


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("kind", [facts_of, at_once_of, merges_of])
async def test_a_closed_cycle_is_the_same_in_every_order(
    pool: Pool, seed: int, kind: Callable[[random.Random], list[Fact]]
) -> None:
    dice = random.Random(seed)  # noqa: S311 - repeatable, and no secret
    facts = kind(dice)
    contact_ids.clear()
    numbers = {fact: n for n, fact in enumerate(facts)}
    march = at(0).replace(day=1)
    if kind is at_once_of:
        await block_at_once(pool, "on-time", "all", *(f"w{turn}" for turn in range(4)))
    # What is expected: nothing closes, and the facts arrive in time.
    await apply(pool, [f for f in sorted(facts, key=lambda f: f.kafka) if f.on_time], numbers, "on-time")
    await apply(
        pool,
        [f._replace(kafka=f.minutes) for f in facts],
        {f._replace(kafka=f.minutes): n for f, n in numbers.items()},
        "all",
    )
    expected = {w: {start: n for start, _, n, _ in await rows(pool, FIGURES, w)} for w in ("on-time", "all")}
    for turn in range(4):
        workspace = f"w{turn}"
        ordered = orders(facts, dice)
        left = max((n for n, f in enumerate(ordered) if f.on_time), default=-1) + 1
        closing = dice.randrange(left, len(ordered) + 1)  # every partition is past the instant
        await apply(pool, ordered[:closing], numbers, workspace)
        await applied_past(pool, at(CLOSES) + timedelta(minutes=1))
        await close(pool)
        await pool.execute("DELETE FROM input_ends")
        await apply(pool, ordered[closing:], numbers, workspace)
        assert [d for d in await verified(pool, at(CLOSES), workspace=workspace) if d.what != "cycle"] == []
        await applied_past(pool, at(CLOSES) + timedelta(minutes=1))
        await close(pool)
        found = {start: (closed, total) for start, closed, _, total in await rows(pool, FIGURES, workspace)}
        if march in found:
            assert found[march] == (expected["on-time"].get(march, 0), expected["all"].get(march, 0)), ordered
        else:
            assert expected["all"].get(march, 0) == 0
        assert await rows(pool, NETS, workspace) == []
        assert [d for d in await verified(pool, at(CLOSES), workspace=workspace) if d.what != "cycle"] == []
