"""Workflow runs: ordinary ones, runs that a block meets, shortcuts on blocked contacts, children and strays."""

from dataclasses import dataclass

from tools.day.blocks import Blocked
from tools.day.cast import WORKSPACES, Person
from tools.day.deliveries import deliver
from tools.day.stage import AGENT, ATTACHED, DECIDED, END, HELD, KNOWN, RELEASED, SECOND_AGENT, UNBLOCKED, Stage
from tools.day.tape import HOUR, MINUTE, SECOND, Json

_ALLOWED = ("assign", "add_tag", "comment", "http_request", "branch", "wait", "other")
_FORBIDDEN = ("send_message", "ask_question", "open_conversation", "close_conversation", "snooze_conversation")
_WORKFLOWS = ("willkommen", "boas-vindas", "ご案内", "appointment-reminder", "nps")


@dataclass(frozen=True, slots=True)
class Run:
    id: str
    person: Person
    start: int


class Engine:
    """Starts runs and asks for their steps, one event at a time."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._runs = 0

    def start(self, person: Person, at: int, trigger: str, fields: Json | None = None) -> Run:
        self._runs += 1
        run = Run(f"run-{self._runs:05}", person, at)
        body = {"workflow_id": self._stage.dice.pick(_WORKFLOWS), "identity": person.identity, "trigger": trigger}
        self._event(run, "run_started", at, body | (fields or {}))
        return run

    def step(self, run: Run, number: int, action: str, at: int) -> None:
        self._event(run, "step_requested", at, {"step_id": f"s{number}", "action": action})

    def finish(self, run: Run, at: int, outcome: str = "completed") -> None:
        self._event(run, "run_finished", at, {"outcome": outcome})

    def play(self, run: Run, actions: list[str]) -> None:
        """Steps some seconds to minutes apart, then the end."""
        at = run.start
        for number, action in enumerate(actions, 1):
            at += self._stage.dice.between(2 * SECOND, 4 * MINUTE)
            self.step(run, number, action, at)
        self.finish(run, at + SECOND)

    def _event(self, run: Run, event: str, at: int, fields: Json) -> None:
        arrival = at + self._stage.dice.between(5, 400)
        self._stage.event(arrival, run.person.workspace.id, run.id, event, at, fields)


def runs(stage: Stage, blocked: Blocked, protected: list[Person]) -> None:
    engine = Engine(stage)
    _ordinary(stage, engine)
    _met_by_a_block(stage, engine, blocked)
    _shortcuts(stage, engine, blocked)
    _families(stage, engine)
    _sending(stage, engine, protected)
    _halted_sends(stage, engine, blocked.mistaken)
    _strays(stage, engine)


def _ordinary(stage: Stage, engine: Engine) -> None:
    for workspace in WORKSPACES:
        for person in stage.cast.take(workspace.id, "in a workflow", 36, KNOWN):
            for _ in range(stage.dice.between(1, 2)):
                trigger = "shortcut" if stage.dice.chance(0.2) else "automatic"
                run = engine.start(person, stage.moment(KNOWN + MINUTE, END - HOUR), trigger)
                engine.play(run, _actions(stage, stage.dice.between(1, 4)))


def _met_by_a_block(stage: Stage, engine: Engine, blocked: Blocked) -> None:
    """Runs of spammers around the moment of their block; those of lumen-br start long after it."""
    known = [person for person in blocked.spammers["nordwind"] if _known_by(person, ATTACHED)]
    for person in known[:45] + blocked.mistaken:
        stage.tape.seen("run around a block")
        trigger = "shortcut" if stage.dice.chance(0.2) else "automatic"
        run = engine.start(person, stage.moment(ATTACHED + 40 * MINUTE, HELD - 10 * MINUTE), trigger)
        engine.play(run, ["wait", *_actions(stage, 6), "send_message"])
    for person in blocked.spammers["lumen-br"][:15]:
        stage.tape.seen("automatic run of a blocked contact")
        engine.play(engine.start(person, stage.moment(KNOWN + MINUTE, ATTACHED), "automatic"), _actions(stage, 2))


def _shortcuts(stage: Stage, engine: Engine, blocked: Blocked) -> None:
    for number, person in enumerate(blocked.before_sends[:24]):
        run = engine.start(person, stage.moment(DECIDED + MINUTE, UNBLOCKED - 40 * MINUTE), "shortcut")
        harmless = [stage.dice.pick(_ALLOWED) for _ in range(2)]
        if number % 3:
            stage.tape.seen("shortcut that reaches a forbidden step")
            engine.play(run, [*harmless, _FORBIDDEN[number % len(_FORBIDDEN)], "add_tag"])
        else:
            stage.tape.seen("shortcut of harmless steps")
            engine.play(run, harmless)


def _families(stage: Stage, engine: Engine) -> None:
    """Parents start before the sends, their children when the parents are known for certain."""
    for number, person in enumerate(stage.cast.take("nordwind", "parent run", 16, KNOWN)):
        parent = engine.start(person, stage.moment(ATTACHED + MINUTE, HELD - 20 * MINUTE), "automatic")
        child = engine.start(
            person, stage.moment(HELD + MINUTE, DECIDED - MINUTE), "automatic", {"parent_run_id": parent.id}
        )
        engine.step(child, 1, "ask_question", child.start + 20 * SECOND)
        stage.tape.seen("child run")
        if number % 2:
            stage.tape.seen("block of a parent and its child")
            issued = stage.moment(DECIDED + MINUTE, UNBLOCKED - MINUTE)
            stage.on_person(
                stage.moment(RELEASED + MINUTE, END - HOUR), person, "block_contact", AGENT, issued_at=issued
            )
        else:
            engine.finish(child, stage.moment(RELEASED, END - HOUR))
        engine.finish(parent, stage.moment(END - 30 * MINUTE, END - MINUTE))


def _sending(stage: Stage, engine: Engine, protected: list[Person]) -> None:
    """Runs whose step becomes a send; those of protected customers wait for a person."""
    free = stage.cast.take("nordwind", "written to by a run", 30, KNOWN)
    for number, person in enumerate(free + protected):
        run = engine.start(person, stage.moment(KNOWN + HOUR, ATTACHED - 20 * MINUTE), "automatic")
        engine.step(run, 1, "send_message", run.start + 5 * SECOND)
        at = stage.moment(ATTACHED + MINUTE, HELD - MINUTE)
        content = {"type": "text", "text": "Wie zufrieden waren Sie? 1️⃣ 2️⃣ 3️⃣"}
        source = {"run_id": run.id, "step_id": "s1"}
        sent = stage.send(at, person, content, "workflow", _ENGINE, source)
        if person in free:
            deliver(stage, sent, at)
        else:
            stage.tape.seen("step whose send is held")
            command = "confirm_send" if number % 3 else "reject_send"
            stage.command(
                stage.moment(HELD + MINUTE, DECIDED - MINUTE),
                person.workspace.id,
                sent.send_id,
                command,
                SECOND_AGENT,
                {"send_id": sent.send_id},
            )
        engine.finish(run, stage.moment(UNBLOCKED + MINUTE, END - HOUR), "answered" if number % 2 else "timeout")


_ENGINE: Json = {"id": "flow-engine", "role": "system"}


def _halted_sends(stage: Stage, engine: Engine, people: list[Person]) -> None:
    """The block is lifted, but the run it halted stays halted, and so do its sends."""
    for person in people[:8]:
        run = engine.start(person, stage.moment(ATTACHED + MINUTE, ATTACHED + HOUR), "automatic")
        engine.step(run, 1, "wait", run.start + SECOND)
        stage.tape.seen("send of a halted run")
        at = stage.moment(RELEASED + MINUTE, RELEASED + HOUR)
        content = {"type": "text", "text": "Noch da?"}
        stage.send(at, person, content, "workflow", _ENGINE, {"run_id": run.id, "step_id": "s2"})


def _strays(stage: Stage, engine: Engine) -> None:
    for workspace in WORKSPACES:
        stranger = stage.cast.invent(workspace, workspace.channels[0])
        stage.tape.seen(
            "run of an unknown contact", "step of an unknown run", "run started twice", "step before its run"
        )
        engine.play(engine.start(stranger, stage.moment(KNOWN, UNBLOCKED), "automatic"), ["comment"])
        engine.step(Run("run-never-started", stranger, 0), 1, "add_tag", stage.moment(KNOWN, UNBLOCKED))
        (person,) = stage.cast.take(workspace.id, "odd runs", 1, KNOWN)
        run = engine.start(person, stage.moment(KNOWN, UNBLOCKED), "automatic")
        again = {"workflow_id": "another", "identity": person.identity, "trigger": "shortcut"}
        stage.event(run.start + MINUTE, workspace.id, run.id, "run_started", run.start + MINUTE, again)
        stage.event(
            run.start + 2 * MINUTE,
            workspace.id,
            run.id,
            "step_requested",
            run.start - MINUTE,
            {"step_id": "s1", "action": "comment"},
        )


def _actions(stage: Stage, count: int) -> list[str]:
    return [stage.dice.pick(_ALLOWED + _FORBIDDEN) for _ in range(count)]


def _known_by(person: Person, moment: int) -> bool:
    return person.known_at is not None and person.known_at < moment
