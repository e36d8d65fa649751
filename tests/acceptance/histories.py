"""Random histories from Hypothesis: facts at few instants, so equal ones are frequent, and orders of delivery."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

from hypothesis import strategies as st

from tests.acceptance.edits import SETTLED, chosen_kinds, created, edit, kept_orders
from tests.acceptance.people import PEOPLE, TOPIC_OF
from tests.facts import Block, Command, Fact, Finish, Kind, Message, Setting, Start, Step, Trigger
from tests.workers.records import uuid_of

# Around the boundaries of the calendars below: UTC from the 1st, Berlin from the 31st.
INSTANTS: Final = tuple(
    datetime.fromisoformat(f"2026-{text}+00:00")
    for text in (
        "03-30T21:59:59.999999",
        "03-30T22:00",
        "03-31T12:00",
        "03-31T23:59:59.999999",
        "04-01T00:00",
        "04-01T00:00:00.000001",
        "04-10T12:00",
        "04-29T22:00",
        "04-30T12:00",
        "05-01T00:00",
        "05-02T12:00",
    )
)
BEFORE_ALL: Final = datetime(2026, 1, 1, tzinfo=UTC)
NOW: Final = datetime(2026, 6, 3, tzinfo=UTC)
LATE: Final = timedelta(days=3)

KINDS: Final[tuple[Kind, ...]] = ("message", "message", "reaction", "echo")
TOPICS: Final = ("messages.inbound", "contacts.commands", "workflows.events")

# No cycle closes while a history is delivered: what comes after a closing is an adjustment, not a count.
NEVER_CLOSED: Final = Setting("", "close_grace_hours", 80_000, BEFORE_ALL, uuid_of("never closed"))

_CHOICES: Final[Sequence[tuple[str, str, tuple[Any, ...]]]] = (
    ("", "mac_block_effect", ("immediate", "next_cycle")),
    ("", "count_reactions", (False, True)),
    ("", "time_zone", ("Europe/Berlin", "UTC")),
    ("", "anchor_day", (31, 1)),
    ("wa-two", "count", (False, True)),
)


@dataclass(frozen=True, slots=True)
class History:
    """What is asked about a contact nobody knows is refused for good: `introductions` come first in every delivery,
    after what is settled.
    """

    introductions: tuple[Fact, ...]
    rest: tuple[Fact, ...]

    @property
    def facts(self) -> tuple[Fact, ...]:
        return NEVER_CLOSED, *SETTLED, *self.introductions, *self.rest

    @property
    def first(self) -> int:
        """How many of the facts come first."""
        return len(self.facts) - len(self.rest)


@dataclass(frozen=True, slots=True)
class Delivery:
    """Positions in `History.facts` in the order of arrival, in polls; `turns` is the order of the workers in each.

    Each topic's worker takes its part of a poll in one transaction.
    """

    polls: tuple[tuple[int, ...], ...]
    turns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cast:
    """Who and when a history is about; everything else is up to the dice."""

    dice: Random
    people: Sequence[str]
    instants: Sequence[datetime]

    def person(self) -> str:
        return self.dice.choice(self.people)

    def instant(self) -> datetime:
        return self.dice.choice(self.instants)


@st.composite
def cases(draw: st.DrawFn) -> tuple[History, list[Delivery]]:
    """A history, delivered in time and in two orders that are anything but.

    One throw decides everything, because separate draws of many things are too much alike; a failing case shrinks by
    leaving facts out, one byte each.
    """
    dice = draw(st.randoms(use_true_random=True))
    cast = Cast(dice, dice.sample(sorted(PEOPLE), dice.randint(1, 2)), dice.sample(INSTANTS, dice.randint(3, 5)))
    facts: list[Fact] = [_message(cast, n) for n in range(dice.randint(4, 12))]
    facts += [block for n in range(dice.randint(0, 5)) for block in _spell(cast, n)]
    facts += [_setting(cast, n) for n in range(dice.randint(0, 4))]
    facts += [fact for n in range(dice.randint(0, 4)) for fact in _run(cast, n)]
    kinds = chosen_kinds(dice)
    facts += [edit(dice, kinds, cast.person(), cast.instant(), n) for n in range(dice.randint(0, 14))]
    kept = draw(st.binary(min_size=len(facts), max_size=len(facts)))
    rest = _without_orphans([fact for fact, byte in zip(facts, kept, strict=True) if byte >= 32])

    asked_about = {f.person for f in rest if isinstance(f, Start) or (isinstance(f, Block) and f.unblocks)}
    asked_about |= {f.person for f in rest if isinstance(f, Command) and f.person is not None}
    # Nothing is earlier: whatever is asked about them finds them as it does in the order of the times.
    introduced = Cast(dice, sorted(asked_about), [min(cast.instants)])
    introductions: list[Fact] = [
        created(dice, name, min(cast.instants)) if dice.random() < 0.3 else _message(introduced, 100 + n, name)
        for n, name in enumerate(sorted(asked_about))
    ]
    history = History(tuple(introductions), tuple(rest))
    return history, [_punctual(history), _shuffled(history, dice), _shuffled(history, dice)]


def _shuffled(history: History, dice: Random) -> Delivery:
    """Any order, with repeats, in polls of any size; only a run and its parent are known before what follows them, and
    what keeps its order does.
    """
    first = history.first
    order = list(range(first, len(history.facts)))
    dice.shuffle(order)
    order = _ordered(history, order)
    for position in dice.choices(range(len(history.facts)), k=dice.randint(0, 3)):
        order.insert(dice.randint(order.index(position) + 1 if position >= first else 0, len(order)), position)
    return _in_polls(history, order, dice.choice((1, 3, 8, 100)), tuple(dice.sample(TOPICS, len(TOPICS))))


def _punctual(history: History) -> Delivery:
    order = sorted(range(history.first, len(history.facts)), key=lambda n: _when(history.facts[n]))
    return _in_polls(history, _ordered(history, order), 1, TOPICS)


def _ordered(history: History, order: Sequence[int]) -> list[int]:
    """The same with what keeps its order in that order, at the places that it has together."""
    arranged = list(order)
    for kept in kept_orders(history.facts):
        later = iter([position for position in kept if position >= history.first])
        arranged = [next(later) if position in kept else position for position in arranged]
    return arranged


def _message(cast: Cast, number: int, name: str | None = None) -> Message:
    """A message whose event time is one of the instants, by one of the ways there are to come by an event time."""
    name, at, lag = name or cast.person(), cast.instant(), cast.dice.choice((timedelta(0), LATE))
    sent_at, received_at, logged_at = cast.dice.choice(
        (
            (at, at + lag, at + lag),
            (None, at, at + lag),
            (at + timedelta(hours=1), at, at),
            (at - timedelta(days=8), at, at),
            (None, at + timedelta(minutes=10), at),
        )
    )
    return Message(
        person=name,
        channel=PEOPLE[name].channel,
        channel_id=cast.dice.choice(PEOPLE[name].channel_ids),
        provider_message_id=f"m{number}",
        kind=cast.dice.choice(KINDS),
        sent_at=sent_at,
        received_at=received_at,
        logged_at=logged_at,
        text=cast.dice.choice(("hi", "STOP", " stop! ", "START", "unstop.")),
        name=cast.dice.choice((None, "A", "B")),
    )


def _spell(cast: Cast, number: int) -> list[Block]:
    """A block, mostly with the unblock that ends it; spells of one person may overlap or touch."""
    person, actor = cast.person(), cast.dice.choice(("ann", "bob"))
    kinds = cast.dice.choice(((False, True), (False, True), (False,), (True,)))
    spell = []
    for unblocks, at in zip(kinds, sorted(cast.instant() for _ in kinds), strict=True):
        issued_at, logged_at = cast.dice.choice(((at, at), (at, at + LATE), (at + timedelta(minutes=10), at)))
        spell.append(Block(person, unblocks, issued_at, logged_at, uuid_of(f"block {number} {unblocks}"), actor))
    return spell


def _setting(cast: Cast, number: int) -> Setting:
    channel_id, name, values = cast.dice.choice(_CHOICES)
    at = cast.dice.choice((BEFORE_ALL, *cast.instants))
    return Setting(channel_id, name, cast.dice.choice(values), at, uuid_of(f"setting {number}"))


def _run(cast: Cast, number: int) -> list[Fact]:
    """A run with its steps and finish; it may be the child of an earlier one."""
    run_id = f"r{number}"
    parent = f"r{cast.dice.randrange(number)}" if number and cast.dice.random() < 0.5 else None
    trigger: Trigger = cast.dice.choice(("automatic", "shortcut"))
    asked = [cast.dice.choice(("send_message", "add_tag")) for _ in range(cast.dice.randint(0, 2))]
    return [
        Start(run_id, cast.person(), trigger, parent, cast.instant()),
        *(Step(run_id, f"s{n}", action, cast.instant()) for n, action in enumerate(asked)),
        *(Finish(run_id, cast.instant()) for _ in range(cast.dice.randint(0, 1))),
    ]


def _without_orphans(facts: Sequence[Fact]) -> list[Fact]:
    started = {fact.run_id for fact in facts if isinstance(fact, Start)}
    return [fact for fact in facts if not isinstance(fact, Step | Finish) or fact.run_id in started]


def _in_polls(history: History, order: Sequence[int], size: int, turns: tuple[str, ...]) -> Delivery:
    polls: list[list[int]] = [[]]
    kept = kept_orders(history.facts)
    for position in _starts_first(history.facts, order):
        if len(polls[-1]) >= size or _out_of_turn(history.facts, kept, polls[-1], position):
            polls.append([])
        polls[-1].append(position)
    return Delivery((tuple(range(history.first)), *map(tuple, polls)), turns)


def _out_of_turn(facts: Sequence[Fact], kept: Sequence[Sequence[int]], poll: Sequence[int], position: int) -> bool:
    """Whether one poll may bring it in another order than it keeps: its topics are taken one after the other."""
    topic = TOPIC_OF[type(facts[position])]
    together = {other for order in kept if position in order for other in order}
    return any(other in together and TOPIC_OF[type(facts[other])] != topic for other in poll)


def _starts_first(facts: Sequence[Fact], order: Sequence[int]) -> list[int]:
    starts = {fact.run_id: n for n, fact in enumerate(facts) if isinstance(fact, Start)}
    arranged: list[int] = []
    for position in order:
        arranged += [n for n in _needed(facts, position, starts) if n not in arranged]
        arranged.append(position)
    return arranged


def _needed(facts: Sequence[Fact], position: int, starts: Mapping[str, int]) -> Iterator[int]:
    fact = facts[position]
    run_id = fact.parent if isinstance(fact, Start) else fact.run_id if isinstance(fact, Step | Finish) else None
    if run_id is not None and run_id in starts:
        yield from _needed(facts, starts[run_id], starts)
        yield starts[run_id]


def _when(fact: Fact) -> datetime:
    match fact:
        case Message():
            return fact.logged_at
        case Block() | Setting() | Command():
            return fact.issued_at
        case _:
            return fact.at
