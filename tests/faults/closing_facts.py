"""Facts about cycles of months ago, on time and late, and what a closed figure and all facts give, counted by rules of
our own.

A record has the Kafka timestamp that its fact says. Records are given in the order of these times, so none is later for
a partition than it says. Some people are blocked now and then, others are merged and parted.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from tests.acceptance.making import Json, Maker, identity
from tests.workers.records import uuid_of

YEAR: Final = 2025
FIRST, MARCH, APRIL, MAY = (datetime(YEAR, month, 1, tzinfo=UTC) for month in (2, 3, 4, 5))
CYCLES: Final = ((FIRST, MARCH), (MARCH, APRIL), (APRIL, MAY))
GRACE: Final = timedelta(hours=72)
HOUR: Final = timedelta(hours=1)
LATE: Final = tuple(datetime(YEAR, 6, day, tzinfo=UTC) for day in range(1, 7))
"""Times that are late for every cycle."""

PARTS: Final = (MARCH, APRIL + 48 * HOUR, APRIL + GRACE, MAY + 48 * HOUR, MAY + GRACE)
"""Ends of the parts of what is on time for some cycle. Each part is applied before the next one is given: merges are
judged when they are applied, and an undo comes a part later than its merge.
"""


class Fact(NamedTuple):
    """`known` is the Kafka timestamp of its record. `other`: whom the contact of `who` is merged with."""

    what: str
    who: str
    at: datetime
    known: datetime
    other: str = ""


def facts_of(dice: random.Random, alone: Sequence[str], pairs: Sequence[tuple[str, str]]) -> list[Fact]:
    """Facts of some people, in the order of Kafka."""
    found = [_first(dice, who) for who in (*alone, *(who for pair in pairs for who in pair))]
    for who in (*alone, *(who for pair in pairs for who in pair)):
        found += [_known(dice, "message", who, _moment(dice)) for _ in range(dice.randrange(5))]
    for who in alone:
        found += [_known(dice, dice.choice(("block", "unblock")), who, _moment(dice)) for _ in range(dice.randrange(4))]
    for pair in pairs:
        found += _joined(dice, *pair)
    return sorted(found, key=lambda fact: fact.known)


def _first(dice: random.Random, who: str) -> Fact:
    at = FIRST + dice.random() * 20 * 24 * HOUR
    return Fact("message", who, at, at)


def _moment(dice: random.Random) -> datetime:
    return MARCH + dice.random() * (MAY - MARCH)


def _known(dice: random.Random, what: str, who: str, at: datetime) -> Fact:
    """Half of all facts are late: for their own cycle only, or for every one."""
    soon = at + dice.random() * HOUR
    late = max(soon, APRIL + GRACE + dice.random() * 20 * HOUR), dice.choice(LATE) + dice.random() * HOUR
    return Fact(what, who, at, dice.choice((soon, soon, *late)))


def _joined(dice: random.Random, survivor: str, loser: str) -> Iterable[Fact]:
    """A merge, and sometimes its undo ten hours later. Both are before a closing instant, around it or after it."""
    ends = (*PARTS, *(at + 2 * HOUR for at in LATE))
    at = dice.choice((APRIL + 24 * HOUR, APRIL + GRACE - HOUR, MAY - 24 * HOUR, MAY + GRACE - HOUR, MAY + 5 * GRACE))
    at += dice.random() * HOUR / 2
    possible = [end for end in ends if end - HOUR / 2 > at + 10 * HOUR]
    known = at if dice.random() < 0.4 else dice.choice(possible) - dice.random() * HOUR / 2
    yield Fact("merge", survivor, at, known, loser)
    later = [end for end in possible if end > next(e for e in ends if e > known)]
    if later and dice.random() < 0.6:
        yield Fact("undo", survivor, at + 10 * HOUR, dice.choice(later) - dice.random() * HOUR / 2, loser)


def record_of(maker: Maker, fact: Fact, ids: Mapping[str, str]) -> Json:
    """The record that tells a fact. `ids` are those of contacts, by their numbers."""
    match fact.what:
        case "message":
            return maker.message(at=fact.at, address=fact.who)
        case "block" | "unblock":
            return maker.command(f"{fact.what}_contact", identity=identity(fact.who), at=fact.at)
    merge_id = str(uuid_of(f"merge {maker.id} {fact.other}"))
    if fact.what == "undo":
        return maker.command("undo_merge", merge_id=merge_id, at=fact.at)
    both: dict[str, Any] = {"survivor_id": ids[fact.who], "loser_id": ids[fact.other]}
    return maker.command("merge_contacts", command_id=merge_id, at=fact.at, **both)


def figures(facts: Sequence[Fact], *, at_once: bool) -> dict[datetime, tuple[int, int]]:
    """For each cycle what facts on time give, and what all facts give. `at_once`: what a block drops never counts."""
    return {
        start: (
            _active([f for f in facts if f.known < end + GRACE], start, end, at_once=at_once),
            _active(facts, start, end, at_once=at_once),
        )
        for start, end in CYCLES
    }


def _active(facts: Sequence[Fact], start: datetime, end: datetime, *, at_once: bool) -> int:
    of: dict[str, list[Fact]] = {}
    for fact in facts:
        of.setdefault(fact.who, []).append(fact)
    active = {who for who, own in of.items() if any(_counts(m, own, start, end, at_once=at_once) for m in own)}
    joined = {f.other: f.who for f in facts if f.what == "merge" and f.at < end + GRACE}
    for fact in facts:
        if fact.what == "undo" and fact.at < end + GRACE:
            del joined[fact.other]
    return len({joined.get(who, who) for who in active})


def _counts(message: Fact, own: Sequence[Fact], start: datetime, end: datetime, *, at_once: bool) -> bool:
    if message.what != "message" or not start <= message.at < end:
        return False
    since: datetime | None = None
    for fact in sorted(own, key=lambda f: f.at):
        if fact.at <= message.at and fact.what == "block":
            since = since or fact.at
        elif fact.at <= message.at and fact.what == "unblock":
            since = None
    return since is None or (not at_once and since >= start)
