"""Contract 3.2: events about runs and blocks in any order lead to the same states."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hypothesis import example, given
from hypothesis import strategies as st

from schemas.workflow_events import Trigger
from tests.workers.records import at, uuid_of
from workers.rules.blocks import BlockCommand, Interval, history
from workers.rules.workflow_families import Families, RunEvent
from workers.rules.workflows import Run

ANN, BOB = uuid_of("ann"), uuid_of("bob")


@dataclass(frozen=True)
class Start:
    run: str
    minute: int
    trigger: Trigger


@dataclass(frozen=True)
class Step:
    run: str
    minute: int
    step_id: str
    towards_contact: bool


@dataclass(frozen=True)
class Finish:
    run: str
    minute: int


@dataclass(frozen=True)
class Block:
    contact: UUID
    minute: int
    command: UUID
    unblocks: bool


Event = Start | Step | Finish | Block

LAST = 9
PARENT = {"root": None, "child": "root", "grandchild": "child", "visitor": "root"}
CONTACT = {"root": ANN, "child": ANN, "grandchild": ANN, "visitor": BOB}

names = st.sampled_from(sorted(PARENT))
minutes = st.integers(0, LAST)
triggers: st.SearchStrategy[Trigger] = st.sampled_from(["automatic", "shortcut"])
facts: st.SearchStrategy[Event] = st.one_of(
    st.builds(Step, names, minutes, st.sampled_from("123"), st.booleans()),
    st.builds(Finish, names, minutes),
    st.builds(Block, st.sampled_from([ANN, BOB]), minutes, st.uuids(), st.booleans()),
)


@st.composite
def stories(draw: st.DrawFn) -> list[Event]:
    """Starts of some runs and whatever else happens to them, in an order of arrival."""
    starts = [Start(name, draw(minutes), draw(triggers)) for name in draw(st.lists(names, min_size=1, unique=True))]
    return draw(st.permutations([*starts, *draw(st.lists(facts, max_size=14))]))


class Story:
    """Lets a worker learn a story's events one after the other."""

    def __init__(self) -> None:
        self.blocks: dict[UUID, list[BlockCommand]] = {ANN: [], BOB: []}
        self.histories: dict[tuple[str, UUID], tuple[Interval, ...]] = {("acme", ANN): (), ("acme", BOB): ()}
        self.known = Families([], self.histories)
        self.tellings: list[RunEvent] = []

    def learn(self, event: Event) -> None:
        match event:
            case Start(name, minute, trigger):
                self.tellings += self.known.start(
                    Run("acme", name, "welcome", CONTACT[name], trigger, at(minute), PARENT[name])
                )
            case Step(name, minute, step_id, towards_contact):
                action = "send_message" if towards_contact else "add_tag"
                self.tellings += self.known.request(("acme", name), step_id, action, at(minute))
            case Finish(name, minute):
                self.tellings += self.known.finish(("acme", name), at(minute), "done")
            case Block(contact, minute, command, unblocks):
                self.blocks[contact].append(BlockCommand(at(minute), unblocks, command, "ann"))
                self.histories["acme", contact] = history(self.blocks[contact])
                keys = [key for key, r in self.known.runs.items() if r.contact_id == contact]
                self.tellings += self.known.rejudge(sorted(keys))

    def outcome(self) -> dict[str, tuple[str, str | None, datetime | None]]:
        return {name: known.verdict[:3] for (_, name), known in self.known.runs.items()}


def told(story: Sequence[Event]) -> Story:
    worker = Story()
    for event in story:
        worker.learn(event)
    return worker


@given(stories())
@example([Start("root", 3, "automatic"), Block(ANN, 3, ANN, unblocks=False), Finish("root", 3)])
@example([Start("root", 1, "shortcut"), Step("root", 1, "1", towards_contact=True), Block(ANN, 1, ANN, unblocks=False)])
def test_the_state_is_that_of_walking_through_time(story: list[Event]) -> None:
    assert told(story).outcome() == walked(story)


@given(stories(), st.data())
def test_the_order_of_arrival_changes_nothing(story: list[Event], data: st.DataObject) -> None:
    kept = understood(story)
    starts: list[Event] = [e for e in kept if isinstance(e, Start)]
    others: list[Event] = [e for e in kept if not isinstance(e, Start)]
    blocks: list[Event] = [e for e in others if isinstance(e, Block)]
    rest: list[Event] = [e for e in others if not isinstance(e, Block)]
    # only a run's own start must come before its steps and its finish
    one = data.draw(st.permutations(starts)) + data.draw(st.permutations(others))
    two = data.draw(st.permutations(starts + blocks)) + data.draw(st.permutations(rest))
    assert told(kept).outcome() == told(one).outcome() == told(two).outcome()


@given(stories())
def test_nothing_is_granted_once_the_end_was_told_and_revisions_grow(story: list[Event]) -> None:
    worker = told(story)
    for key, known in worker.known.runs.items():
        facts_of_run = [t for t in worker.tellings if t.run == key and t.event.reason != "unknown_run"]
        controls = [t.event.control if t.stops or t.event.control == "step_granted" else "" for t in facts_of_run]
        ends = [i for i, t in enumerate(facts_of_run) if t.stops]
        assert not ends or "step_granted" not in controls[ends[0] :]
        new = [t.event.revision for t in facts_of_run if t.stops or t.event.control == "step_granted"]
        assert new == sorted(new)
        stops = [t.event.revision for t in facts_of_run if t.stops]
        assert stops == sorted(set(stops))
        granted = [t.event.revision for t in facts_of_run if t.event.control == "step_granted"]
        assert not stops or max(granted, default=0) < stops[0]
        if known.verdict.state in ("halted", "refused"):
            assert known.published is not None
            assert known.published.reason == known.verdict.reason
            assert known.published.control == f"run_{known.verdict.state}"


def understood(story: Sequence[Event]) -> list[Event]:
    """Without steps and finishes that came before their run's start: nobody knew the run."""
    started: set[str] = set()
    kept: list[Event] = []
    for event in story:
        if isinstance(event, Start):
            started.add(event.run)
        if isinstance(event, Start | Block) or event.run in started:
            kept.append(event)
    return kept


def walked(story: Sequence[Event]) -> dict[str, tuple[str, str | None, datetime | None]]:
    """The states by walking through the minutes one by one: nothing of the code under test."""
    events = understood(story)
    starts = {e.run: e for e in events if isinstance(e, Start)}
    blocked = {contact: _blocked_minutes(events, contact) for contact in (ANN, BOB)}
    ends: dict[str, tuple[str, str | None, int | None]] = {}
    triggers_of: dict[str, Trigger] = {}
    for name in ("root", "child", "grandchild", "visitor"):  # parents first
        if name in starts:
            parent = PARENT[name]
            triggers_of[name] = triggers_of.get(parent or "", starts[name].trigger)
            ends[name] = _walk(events, starts[name], triggers_of[name], blocked[CONTACT[name]], ends.get(parent or ""))
    return {name: (state, reason, None if m is None else at(m)) for name, (state, reason, m) in ends.items()}


def _blocked_minutes(events: Sequence[Event], contact: UUID) -> tuple[set[int], set[int]]:
    """Minutes in which the contact is blocked, and those of them in which a block begins."""
    inside: set[int] = set()
    begins: set[int] = set()
    state = False
    for minute in range(LAST + 1):
        commands = [e for e in events if isinstance(e, Block) and e.contact == contact and e.minute == minute]
        if any(c.unblocks for c in commands):
            state = False
        if any(not c.unblocks for c in commands):
            begins |= {minute} if not state else set()
            state = True
        inside |= {minute} if state else set()
    return inside, begins


def _walk(  # noqa: PLR0911 - the rules one below the other
    events: Sequence[Event],
    start: Start,
    trigger: Trigger,
    blocked: tuple[set[int], set[int]],
    parent: tuple[str, str | None, int | None] | None,
) -> tuple[str, str | None, int | None]:
    inside, begins = blocked
    steps = {
        max(e.minute, start.minute) for e in events if isinstance(e, Step) and e.run == start.run and e.towards_contact
    }
    finishes = {max(e.minute, start.minute) for e in events if isinstance(e, Finish) and e.run == start.run}
    stop = parent if parent is not None and parent[0] in ("halted", "refused") else ("", None, None)
    started_inside = start.minute in inside
    if started_inside and trigger == "automatic":
        return "refused", "contact_blocked", start.minute
    if stop[2] is not None and stop[2] <= start.minute:
        return "refused", stop[1], start.minute
    for minute in range(start.minute, LAST + 1):
        finishing = minute in finishes
        if minute in begins and minute > start.minute and not finishing:
            return "halted", "contact_blocked", minute
        if started_inside and minute in steps & inside:
            return "halted", "blocked_contact_step", minute
        if stop[2] == minute and not finishing:
            return "halted", stop[1], minute
        if finishing:
            return "finished", None, minute
    return "running", None, None
