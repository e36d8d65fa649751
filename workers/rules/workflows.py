"""One run of a workflow: its state follows from its facts and its contact's block history (contract 6)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal, NamedTuple
from uuid import UUID

from workers.rules.blocks import Interval, covering

RunKey = tuple[str, str]  # workspace_id, run_id
Trigger = Literal["automatic", "shortcut"]
State = Literal["running", "halted", "refused", "finished"]
Control = Literal["step_granted", "run_halted", "run_refused"]

CONTACT_STEPS: Final = frozenset(
    {"send_message", "ask_question", "open_conversation", "close_conversation", "snooze_conversation"}
)
"""Actions that reach the contact or move its conversation: a shortcut's run ends at its first one inside a block."""


class ContactStep(NamedTuple):
    """A step of CONTACT_STEPS; `at` is never before the run's start."""

    at: datetime
    step_id: str


class Cut(NamedTuple):
    """The end of a run whose contact went away; `reason` is `contact_merged` or `contact_deleted`."""

    at: datetime
    reason: str


class Verdict(NamedTuple):
    """`at`: when the run ended, None while it runs. `step_id`: the step that halted it, if one did."""

    state: State
    reason: str | None = None
    at: datetime | None = None
    step_id: str | None = None


class ControlFact(NamedTuple):
    """What the engine is told of a run. `revision` grows with every fact of one run."""

    control: Control
    reason: str | None
    step_id: str | None
    at: datetime
    revision: int


RUNNING: Final = Verdict("running")


@dataclass(frozen=True, slots=True)
class Run:
    """A run as far as it is known. `contact_id` is None if the contact was unknown when the start was applied.

    `trigger` is the root's once the parent is known. Of all contact steps only the earliest is kept: if it is not in
    the block that the run was started in, all are past that block, where only the next block's begin matters. `told` is
    the last fact that ended the run: from then on nothing is granted, whatever is learned later.
    """

    workspace_id: str
    run_id: str
    workflow_id: str
    contact_id: UUID | None
    trigger: Trigger
    started_at: datetime
    parent_run_id: str | None = None
    finished_at: datetime | None = None
    outcome: str | None = None
    contact_step: ContactStep | None = None
    cut: Cut | None = None
    verdict: Verdict = RUNNING
    told: ControlFact | None = None
    revision: int = 1

    @property
    def key(self) -> RunKey:
        return self.workspace_id, self.run_id


def with_step(run: Run, step_id: str, action: str, at: datetime) -> Run:
    """`run`, knowing that it asked for a step. A step dated before the start counts as at the start."""
    if action not in CONTACT_STEPS:
        return run
    step = ContactStep(max(at, run.started_at), step_id)
    return replace(run, contact_step=step) if run.contact_step is None or step < run.contact_step else run


def with_finish(run: Run, at: datetime, outcome: str) -> Run:
    """`run`, knowing that its engine ended it. Of several finishes the earliest holds, in any order of arrival."""
    finish = max(at, run.started_at), outcome
    if run.finished_at is not None and (run.finished_at, run.outcome or "") <= finish:
        return run
    return replace(run, finished_at=finish[0], outcome=outcome)


def judge(run: Run, intervals: Sequence[Interval] | None, parent: Run | None) -> Run:
    """`run` with the verdict its facts give it.

    `intervals` is the contact's block history, None if there is no such contact any more: then a run that ended stays
    as it is. `parent` has been judged; None if it is unknown: the run is judged alone.
    """
    trigger = parent.trigger if parent is not None else run.trigger
    if intervals is None and run.contact_id is not None and run.verdict.state != "running":
        verdict = run.verdict
    else:
        verdict = _verdict(run, trigger, intervals or (), _stopped(parent))
    if (trigger, verdict) == (run.trigger, run.verdict):
        return run
    return replace(run, trigger=trigger, verdict=verdict)


def _verdict(run: Run, trigger: Trigger, intervals: Sequence[Interval], parent_end: Cut | None) -> Verdict:
    if run.contact_id is None:
        return Verdict("refused", "unknown_contact", run.started_at)
    if trigger == "automatic" and covering(intervals, run.started_at) is not None:
        return Verdict("refused", "contact_blocked", run.started_at)
    if parent_end is not None and parent_end.at <= run.started_at:
        return Verdict("refused", parent_end.reason, run.started_at)
    halts = list(_halts(run, intervals, parent_end))
    if halts:
        return min(halts, key=_time_of)
    return RUNNING if run.finished_at is None else Verdict("finished", None, run.finished_at)


def _halts(run: Run, intervals: Sequence[Interval], parent_end: Cut | None) -> Iterator[Verdict]:
    """Everything that would halt the run while it is alive; of equal times the first one yielded gives the reason."""
    begin = next((i.start for i in intervals if i.start > run.started_at), None)
    if begin is not None and _alive_before(run, begin):
        yield Verdict("halted", "contact_blocked", begin)
    step = run.contact_step
    if step is not None and _asks(run, step.at) and _both_blocked(intervals, run.started_at, step.at):
        yield Verdict("halted", "blocked_contact_step", step.at, step.step_id)
    for end in (parent_end, run.cut):
        if end is not None and _alive_before(run, max(end.at, run.started_at)):
            yield Verdict("halted", end.reason, max(end.at, run.started_at))


def _alive_before(run: Run, instant: datetime) -> bool:
    return run.finished_at is None or instant < run.finished_at


def _asks(run: Run, instant: datetime) -> bool:
    # a run that asks for a step has not finished yet, also where both carry one time
    return run.finished_at is None or instant <= run.finished_at


def _both_blocked(intervals: Sequence[Interval], start: datetime, step: datetime) -> bool:
    return covering(intervals, start) is not None and covering(intervals, step) is not None


def _time_of(verdict: Verdict) -> datetime:
    assert verdict.at is not None  # noqa: S101 - only ends are compared
    return verdict.at


def _stopped(parent: Run | None) -> Cut | None:
    if parent is None or parent.verdict.state not in ("halted", "refused"):
        return None
    return Cut(_time_of(parent.verdict), parent.verdict.reason or "")


def tell(run: Run) -> tuple[Run, ControlFact | None]:
    """The fact that its engine must hear if the verdict ended the run and it has not been said; `run` remembers it."""
    state, reason, at, step_id = run.verdict
    if at is None or state not in ("halted", "refused"):
        return run, None
    control: Control = "run_halted" if state == "halted" else "run_refused"
    if run.told is not None and (run.told.control, run.told.reason) == (control, reason):
        return run, None
    fact = ControlFact(control, reason, step_id, at, run.revision + 1)
    return replace(run, told=fact, revision=fact.revision), fact


def answer(run: Run, step_id: str, at: datetime) -> tuple[Run, ControlFact]:
    """What the engine hears about a step of a judged run; `run` remembers it."""
    if run.told is not None:
        return run, run.told
    at = max(at, run.started_at)
    fact = (
        ControlFact("step_granted", None, step_id, at, run.revision + 1)
        if _asks(run, at)
        else ControlFact("run_refused", "run_finished", step_id, at, run.revision + 1)
    )
    return replace(run, revision=fact.revision), fact


def unknown(step_id: str, at: datetime) -> ControlFact:
    """What the engine hears about a step of a run nobody started: older than every fact of the run, should it start."""
    return ControlFact("run_refused", "unknown_run", step_id, at, 1)
