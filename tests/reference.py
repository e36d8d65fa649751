"""What must be visible, computed from a set of facts in the plainest way: the rules of messages, blocks, counts and
runs written down a second time.

It shares no code with the workers' rules (ids and the data of time zones are the same for everybody), loops over
everything for everything, and knows no order of arrival: whatever a worker shows must equal this, in whatever order
it learned the facts.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple, TypeVar
from uuid import UUID

from schemas.ids import message_id
from schemas.zones import zone
from tests.facts import Block, Command, Fact, Finish, Message, Setting, Start, Step
from tests.reference_customers import Profile, memberships, options, profiles
from tests.reference_people import conversation, details, tags
from tests.reference_times import Interval, event_time, inside, intervals, issued

CONTACT_ACTIONS = {"send_message", "ask_question", "open_conversation", "close_conversation", "snooze_conversation"}
STOPS = {"STOP", "STOPALL", "UNSUBSCRIBE", "END", "QUIT", "CANCEL", "REVOKE", "OPTOUT", "ARRET"}
STARTS = {"START", "UNSTOP"}
DEFAULTS: Mapping[str, Any] = {
    "time_zone": "UTC",
    "anchor_day": 1,
    "mac_block_effect": "next_cycle",
    "count_reactions": True,
}


F = TypeVar("F", bound=Fact)


class Shown(NamedTuple):
    person: str
    direction: str
    channel_id: str
    event_time: datetime
    text: str
    bypassed_block: bool


class Dropped(NamedTuple):
    person: str
    channel: str
    event_time: datetime
    reason: str
    rule: str
    counted: bool


class Cycle(NamedTuple):
    start: datetime
    end: datetime
    values: Mapping[str, Any]


@dataclass(slots=True)
class World:
    """Everything the views show. Keys are ids, persons and cycle starts; `values` are settings that go by cycle."""

    shown: dict[UUID, Shown]
    dropped: dict[UUID, Dropped]
    blocked: dict[str, tuple[datetime, str]]
    statuses: dict[str, str]
    names: dict[str, str | None]
    opted_out: set[str]
    connected: dict[str, datetime]
    counts: dict[datetime, tuple[datetime, int]]
    values: dict[tuple[datetime, str], Any]
    proofs: dict[tuple[datetime, str], tuple[datetime, UUID]]
    runs: dict[str, tuple[str, str, str, str | None]]
    details: dict[str, dict[str, Any]]
    tags: dict[str, list[str]]
    comments: dict[UUID, tuple[str, datetime, str]]
    profile_of: dict[str, str]
    profiles: dict[str, Profile]
    options: dict[str, list[str]]


def world(workspace_id: str, facts: Iterable[Fact], now: datetime) -> World:
    """What the facts come to at `now`, which is not before any of them, whatever order they came in."""
    once = list(dict.fromkeys(facts))
    commands = _of(Command, once)
    said = {id_of(workspace_id, m): m for m in _of(Message, once)}
    blocks = _of(Block, once)
    persons = {m.person for m in said.values()} | {b.person for b in blocks}
    persons |= {c.person for c in commands if c.command == "create_contact" and c.person is not None}
    history = {p: intervals([b for b in blocks if b.person == p]) for p in persons}
    span = [event_time(m) for m in said.values()]
    months = list(cycles(_of(Setting, once), min(span), now)) if span else []

    result = World({}, {}, {}, {}, {}, set(), {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {})
    for id_, message in said.items():
        _judge(result, id_, message, history[message.person], months)
    for cycle in months:
        active = [person for start, person in result.proofs if start == cycle.start]
        result.counts[cycle.start] = cycle.end, len(active)
        result.values |= {(cycle.start, name): cycle.values[name] for name in DEFAULTS}
    for person in sorted(persons):
        own = [m for m in said.values() if m.person == person]
        # Only who is unknown is created; the facts begin with how each person became known.
        first = next(f for f in once if _person(f) == person)
        mine = [c for c in commands if c.person == person and (c.command != "create_contact" or c is first)]
        _describe(result, workspace_id, person, own, history[person])
        result.statuses[person] = conversation(own, mine, history[person], now)
        result.details[person] = details(person, mine, result.names[person])
        result.tags[person] = tags(mine)
        result.comments |= {c.command_id: (person, issued(c), c.fields["text"]) for c in mine if c.command == "comment"}
    result.profiles = profiles(commands)
    result.profile_of = memberships(commands)
    result.options = options(commands)
    starts = {s.run_id: s for s in _of(Start, once)}
    for run_id, start_ in starts.items():
        state, reason, _ = run_state(start_, starts, once, history)
        result.runs[run_id] = start_.person, root(start_, starts).trigger, state, reason
    return result


def id_of(workspace_id: str, message: Message) -> UUID:
    direction: Literal["in", "out"] = "out" if message.kind == "echo" else "in"
    return message_id(workspace_id, message.channel_id, direction, message.provider_message_id)


def cycles(settings: Sequence[Setting], first: datetime, last: datetime) -> Iterator[Cycle]:
    """From the cycle that holds `first` to the one that holds `last`."""
    values: dict[str, Any] = {}
    later: list[Setting] = []
    for s in sorted(settings, key=lambda s: (s.issued_at, s.command_id)):
        if f"{s.channel_id}{s.name}" in values:
            later.append(s)
        else:
            values[f"{s.channel_id}{s.name}"] = s.value
    values = {**DEFAULTS, **values}
    start = next(boundaries(values, first.year - 1))
    while start <= last:
        end = next(b for b in boundaries(values, start.year - 1) if b > start)
        if end > first:
            yield Cycle(start, end, values)
        values = values | {f"{s.channel_id}{s.name}": s.value for s in later if start <= s.issued_at < end}
        start = end


def boundaries(values: Mapping[str, Any], year: int) -> Iterator[datetime]:
    """Midnights of the anchor day from January of `year` on; the zones used here have no midnight missing or twice."""
    where = zone(values["time_zone"])
    for month in range(60):
        first = datetime(year + month // 12, month % 12 + 1, 1)  # noqa: DTZ001 - the zone follows
        last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        local = last.replace(day=min(values["anchor_day"], last.day), tzinfo=where)
        yield local.astimezone(UTC)


def counted(message: Message, block: Interval | None, cycle: Cycle) -> bool:
    if not cycle.values.get(f"{message.channel_id}count", True):
        return False
    if message.kind == "reaction" and not cycle.values["count_reactions"]:
        return False
    if block is None:
        return True
    if message.kind == "echo" or cycle.values["mac_block_effect"] == "immediate":
        return False
    return not cycle.start > block.start


def run_state(
    run: Start, starts: Mapping[str, Start], facts: Iterable[Fact], history: Mapping[str, Sequence[Interval]]
) -> tuple[str, str | None, datetime | None]:
    """State, reason, and when it ended. Steps and a finish dated before the start count as at the start."""
    blocks = history[run.person]
    if root(run, starts).trigger == "automatic" and inside(blocks, run.at):
        return "refused", "contact_blocked", run.at
    own = [f for f in facts if isinstance(f, Step | Finish) and f.run_id == run.run_id]
    finish = min((max(f.at, run.at) for f in own if isinstance(f, Finish)), default=None)
    # of equal times the smaller rank; who finishes at an instant asked for a step of that instant before
    begins = [i.start for i in blocks if i.start > run.at and (finish is None or i.start < finish)]
    halts = [(begin, 0, "contact_blocked") for begin in begins]
    for step in (f for f in own if isinstance(f, Step) and f.action in CONTACT_ACTIONS):
        at = max(step.at, run.at)
        if inside(blocks, run.at) and inside(blocks, at) and (finish is None or at <= finish):
            halts.append((at, 1, "blocked_contact_step"))
    if run.parent is not None and run.parent in starts:
        state, reason, end = run_state(starts[run.parent], starts, facts, history)
        if state in ("halted", "refused") and end is not None and reason is not None:
            if end <= run.at:
                return "refused", reason, run.at
            if finish is None or end < finish:
                halts.append((end, 2, reason))
    if halts:
        at, _, why = min(halts)
        return "halted", why, at
    return ("running", None, None) if finish is None else ("finished", None, finish)


def root(run: Start, starts: Mapping[str, Start]) -> Start:
    return root(starts[run.parent], starts) if run.parent is not None and run.parent in starts else run


def _judge(into: World, id_: UUID, message: Message, history: Sequence[Interval], months: Sequence[Cycle]) -> None:
    at = event_time(message)
    block = inside(history, at)
    cycle = next(c for c in months if c.start <= at < c.end)
    counts = counted(message, block, cycle)
    if block is not None and message.kind != "echo":
        rule = cycle.values["mac_block_effect"]
        into.dropped[id_] = Dropped(message.person, message.channel, at, "contact_blocked", rule, counts)
    else:
        direction = "out" if message.kind == "echo" else "in"
        into.shown[id_] = Shown(message.person, direction, message.channel_id, at, message.text, block is not None)
    if counts:
        key = cycle.start, message.person
        into.proofs[key] = min((at, id_), into.proofs.get(key, (at, id_)))


def _describe(
    into: World, workspace_id: str, person: str, said: Sequence[Message], history: Sequence[Interval]
) -> None:
    newest_first = sorted(said, key=lambda m: (event_time(m), id_of(workspace_id, m)), reverse=True)
    shown = [m for m in newest_first if m.kind == "echo" or inside(history, event_time(m)) is None]
    into.names[person] = next((m.name for m in shown if m.name is not None), None)
    if said:
        into.connected[person] = min(event_time(m) for m in said)
    words = (opting(m) for m in newest_first)
    if next((word for word in words if word is not None), None) == "stop":
        into.opted_out.add(person)
    if history and history[-1].end is None:
        into.blocked[person] = history[-1].start, history[-1].actor


def opting(message: Message) -> str | None:
    if message.kind != "message" or message.channel not in ("sms", "whatsapp"):
        return None
    text = message.text.strip()
    word = (text[:-1] if text[-1:] in (".", "!") else text).upper()
    return "stop" if word in STOPS else "start" if word in STARTS else None


def _person(fact: Fact) -> str | None:
    return fact.person if isinstance(fact, Message | Block | Command | Start) else None


def _of(kind: type[F], facts: Iterable[Fact]) -> list[F]:
    return [fact for fact in facts if isinstance(fact, kind)]
