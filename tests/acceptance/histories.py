"""Histories as Hypothesis draws them: facts of few instants, so equal ones are frequent, and orders of delivery."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from hypothesis import strategies as st

from tests.acceptance.people import PEOPLE
from tests.facts import Block, Fact, Finish, Kind, Message, Setting, Start, Step, Trigger
from tests.workers.records import uuid_of

Draw = st.DrawFn

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
    """`introductions` come first in every delivery: what is asked about a contact nobody knows is refused for good."""

    introductions: tuple[Fact, ...]
    rest: tuple[Fact, ...]

    @property
    def facts(self) -> tuple[Fact, ...]:
        return *self.introductions, *self.rest


@dataclass(frozen=True, slots=True)
class Delivery:
    """Positions in `History.facts` in the order of arrival, in polls; `turns` is the order of the workers in each.

    Each topic's worker takes its part of a poll in one transaction.
    """

    polls: tuple[tuple[int, ...], ...]
    turns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cast:
    people: Sequence[str]
    instants: Sequence[datetime]

    def person(self, draw: Draw) -> str:
        return draw(st.sampled_from(self.people))

    def instant(self, draw: Draw) -> datetime:
        return draw(st.sampled_from(self.instants))


@st.composite
def messages(draw: Draw, cast: Cast, number: int) -> Message:
    """A message whose event time is one of the instants, by one of the ways there are to come by an event time."""
    name, at, lag = cast.person(draw), cast.instant(draw), draw(st.sampled_from((timedelta(0), LATE)))
    sent_at, received_at, logged_at = draw(
        st.sampled_from(
            (
                (at, at + lag, at + lag),
                (None, at, at + lag),
                (at + timedelta(hours=1), at, at),
                (at - timedelta(days=8), at, at),
                (None, at + timedelta(minutes=10), at),
            )
        )
    )
    return Message(
        person=name,
        channel=PEOPLE[name].channel,
        channel_id=draw(st.sampled_from(PEOPLE[name].channel_ids)),
        provider_message_id=f"m{number}",
        kind=draw(st.sampled_from(KINDS)),
        sent_at=sent_at,
        received_at=received_at,
        logged_at=logged_at,
        text=draw(st.sampled_from(("hi", "STOP", " stop! ", "START", "unstop."))),
        name=draw(st.sampled_from((None, "A", "B"))),
    )


@st.composite
def blocks(draw: Draw, cast: Cast, number: int) -> Block:
    at = cast.instant(draw)
    issued_at, logged_at = draw(st.sampled_from(((at, at), (at, at + LATE), (at + timedelta(minutes=10), at))))
    return Block(
        person=cast.person(draw),
        unblocks=draw(st.booleans()),
        issued_at=issued_at,
        logged_at=logged_at,
        command_id=uuid_of(f"block {number}"),
        actor=draw(st.sampled_from(("ann", "bob"))),
    )


@st.composite
def settings_(draw: Draw, cast: Cast, number: int) -> Setting:
    channel_id, name, values = draw(st.sampled_from(_CHOICES))
    at = draw(st.sampled_from((BEFORE_ALL, *cast.instants)))
    return Setting(channel_id, name, draw(st.sampled_from(values)), at, uuid_of(f"setting {number}"))


@st.composite
def runs(draw: Draw, cast: Cast, number: int) -> list[Fact]:
    """A run with its steps and finish; all but the first may be the child of the run before."""
    run_id = f"r{number}"
    parent = f"r{number - 1}" if number and draw(st.booleans()) else None
    trigger: Trigger = draw(st.sampled_from(("automatic", "shortcut")))
    asked = draw(st.lists(st.sampled_from(("send_message", "add_tag")), max_size=2))
    return [
        Start(run_id, cast.person(draw), trigger, parent, cast.instant(draw)),
        *(Step(run_id, f"s{n}", action, cast.instant(draw)) for n, action in enumerate(asked)),
        *(Finish(run_id, cast.instant(draw)) for _ in range(draw(st.integers(0, 1)))),
    ]


@st.composite
def histories(draw: Draw) -> History:
    cast = Cast(
        draw(st.lists(st.sampled_from(sorted(PEOPLE)), min_size=1, max_size=3, unique=True)),
        draw(st.lists(st.sampled_from(INSTANTS), min_size=2, max_size=5, unique=True)),
    )
    blocked = [draw(blocks(cast, n)) for n in range(draw(st.integers(0, 5)))]
    said = [draw(messages(cast, n)) for n in range(draw(st.integers(0, 7)))]
    configured = [draw(settings_(cast, n)) for n in range(draw(st.integers(0, 2)))]
    started = [fact for n in range(draw(st.integers(0, 2))) for fact in draw(runs(cast, n))]

    asked_about = {f.person for f in started if isinstance(f, Start)} | {b.person for b in blocked if b.unblocks}
    introductions = [draw(messages(Cast([name], cast.instants), 100 + n)) for n, name in enumerate(sorted(asked_about))]
    return History((NEVER_CLOSED, *introductions), (*said, *blocked, *configured, *started))


@st.composite
def deliveries(draw: Draw, history: History) -> Delivery:
    """Any order, with repeats, in polls of any size; only a run and its parent are known before what follows them."""
    positions = range(len(history.facts))
    repeats = draw(st.lists(st.sampled_from(positions), max_size=3))
    order = draw(st.permutations([*positions[len(history.introductions) :], *repeats]))
    size, turns = draw(st.sampled_from((1, 3, 8, 100))), draw(st.permutations(TOPICS))
    return _in_polls(history, order, size, tuple(turns))


def punctual(history: History) -> Delivery:
    """Every fact on its own, at its time."""
    order = sorted(range(len(history.introductions), len(history.facts)), key=lambda n: _when(history.facts[n]))
    return _in_polls(history, order, 1, TOPICS)


def _in_polls(history: History, order: Sequence[int], size: int, turns: tuple[str, ...]) -> Delivery:
    arranged = _starts_first(history.facts, order)
    polls = [tuple(arranged[i : i + size]) for i in range(0, len(arranged), size)]
    return Delivery((tuple(range(len(history.introductions))), *polls), turns)


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
    if run_id is not None:
        yield from _needed(facts, starts[run_id], starts)
        yield starts[run_id]


def _when(fact: Fact) -> datetime:
    match fact:
        case Message():
            return fact.logged_at
        case Block() | Setting():
            return fact.issued_at
        case _:
            return fact.at
