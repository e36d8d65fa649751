"""One run of a workflow: its state follows from its events and its contact's block history (contract 6)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal, NamedTuple
from uuid import UUID

from schemas.workflow_events import Trigger
from workers.rules.blocks import Interval, covering

RunKey = tuple[str, str]  # workspace_id, run_id
RunState = Literal["running", "halted", "refused", "finished"]
Control = Literal["step_granted", "run_halted", "run_refused"]

CONTACT_STEPS: Final = frozenset(
    {"send_message", "ask_question", "open_conversation", "close_conversation", "snooze_conversation"}
)
"""Actions that reach the contact or change its conversation: a shortcut's run ends at its first one inside a block."""


class ContactStep(NamedTuple):
    """A step of CONTACT_STEPS; `at` is never before the run's start."""

    at: datetime
    step_id: str


class ContactGone(NamedTuple):
    """The end of a run whose contact went away; `reason` is `contact_merged` or `contact_deleted`."""

    at: datetime
    reason: str


class RunVerdict(NamedTuple):
    """`at`: when the run ended, None while it runs. `step_id`: the step that halted it, if one did."""

    state: RunState
    reason: str | None = None
    at: datetime | None = None
    step_id: str | None = None


class ControlFact(NamedTuple):
    """What the engine hears of a run. `revision` is that of the run's state."""

    control: Control
    reason: str | None
    step_id: str | None
    at: datetime
    revision: int


RUNNING: Final = RunVerdict("running")
UNKNOWN_REVISION: Final = 1
"""The revision of a run that was not started: lower than every other one if it starts later."""


@dataclass(frozen=True, slots=True)
class Run:
    """The known state of a run. `contact_id` is None if the contact was unknown when the start was applied.

    `trigger` is the root's once the parent is known. Of all contact steps only the earliest is kept: if it is not in
    the block in which the run was started, all are after that block, and there only the start of the next block
    matters. `published` is the last published event that ended the run: after it nothing is granted, whatever arrives
    later. `revision` counts the changes of the verdict.
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
    cut: ContactGone | None = None
    verdict: RunVerdict = RUNNING
    published: ControlFact | None = None
    revision: int = UNKNOWN_REVISION + 1

    @property
    def key(self) -> RunKey:
        return self.workspace_id, self.run_id


def with_step(run: Run, step_id: str, action: str, at: datetime) -> Run:
    """`run` after it requested a step. A step dated before the start counts as at the start."""
    if action not in CONTACT_STEPS:
        return run
    step = ContactStep(max(at, run.started_at), step_id)
    return replace(run, contact_step=step) if run.contact_step is None or step < run.contact_step else run


def with_finish(run: Run, at: datetime, outcome: str) -> Run:
    """`run` after its engine ended it. Of several finishes the earliest holds, in any order of arrival."""
    finish = max(at, run.started_at), outcome
    if run.finished_at is not None and (run.finished_at, run.outcome or "") <= finish:
        return run
    return replace(run, finished_at=finish[0], outcome=outcome)


def judge(run: Run, intervals: Sequence[Interval] | None, parent: Run | None) -> Run:
    """`run` with the verdict of its events.

    `intervals` is the contact's block history, None if there is no such contact any more: then a run that ended stays
    as it is. `parent` has been judged; None if it is unknown: the run is judged alone.
    """
    trigger = parent.trigger if parent is not None else run.trigger
    if intervals is None and run.contact_id is not None and run.verdict.state != "running":
        verdict = run.verdict
    else:
        verdict = _verdict(run, trigger, intervals or (), stopped(parent))
    if (trigger, verdict) == (run.trigger, run.verdict):
        return run
    return replace(run, trigger=trigger, verdict=verdict, revision=run.revision + (verdict != run.verdict))


def _verdict(run: Run, trigger: Trigger, intervals: Sequence[Interval], parent_end: ContactGone | None) -> RunVerdict:
    if run.contact_id is None:
        return RunVerdict("refused", "unknown_contact", run.started_at)
    if trigger == "automatic" and covering(intervals, run.started_at) is not None:
        return RunVerdict("refused", "contact_blocked", run.started_at)
    if parent_end is not None and parent_end.at <= run.started_at:
        return RunVerdict("refused", parent_end.reason, run.started_at)
    halts = list(_halts(run, intervals, parent_end))
    if halts:
        return min(halts, key=_time_of)
    return RUNNING if run.finished_at is None else RunVerdict("finished", None, run.finished_at)


def _halts(run: Run, intervals: Sequence[Interval], parent_end: ContactGone | None) -> Iterator[RunVerdict]:
    """Everything that would halt the run while it runs; of equal times the first one yielded gives the reason."""
    begin = next((i.start for i in intervals if i.start > run.started_at), None)
    if begin is not None and _alive_before(run, begin):
        yield RunVerdict("halted", "contact_blocked", begin)
    step = run.contact_step
    if step is not None and _asks(run, step.at) and _both_blocked(intervals, run.started_at, step.at):
        yield RunVerdict("halted", "blocked_contact_step", step.at, step.step_id)
    for end in (parent_end, run.cut):
        if end is not None and _alive_before(run, max(end.at, run.started_at)):
            yield RunVerdict("halted", end.reason, max(end.at, run.started_at))


def _alive_before(run: Run, instant: datetime) -> bool:
    return run.finished_at is None or instant < run.finished_at


def _asks(run: Run, instant: datetime) -> bool:
    # a run that requests a step has not finished yet, also if both have one time
    return run.finished_at is None or instant <= run.finished_at


def _both_blocked(intervals: Sequence[Interval], start: datetime, step: datetime) -> bool:
    return covering(intervals, start) is not None and covering(intervals, step) is not None


def _time_of(verdict: RunVerdict) -> datetime:
    assert verdict.at is not None  # noqa: S101 - only ends are compared
    return verdict.at


def stopped(parent: Run | None) -> ContactGone | None:
    """How the end of a parent ends its children; None: it does not."""
    if parent is None or parent.verdict.state not in ("halted", "refused"):
        return None
    return ContactGone(_time_of(parent.verdict), parent.verdict.reason or "")


def tell(run: Run) -> tuple[Run, ControlFact | None]:
    """The event for its engine if the verdict ended the run and that is not published yet; `run` remembers it."""
    state, reason, at, step_id = run.verdict
    if at is None or state not in ("halted", "refused"):
        return run, None
    control: Control = "run_halted" if state == "halted" else "run_refused"
    if run.published is not None and (run.published.control, run.published.reason) == (control, reason):
        return run, None
    fact = ControlFact(control, reason, step_id, at, run.revision)
    return replace(run, published=fact), fact


def answer_step(run: Run, step_id: str, at: datetime) -> ControlFact:
    """The answer to a step of a judged run: always the same as long as the state is the same."""
    if run.published is not None:
        return run.published
    at = max(at, run.started_at)
    if _asks(run, at):
        return ControlFact("step_granted", None, step_id, at, run.revision)
    return ControlFact("run_refused", "run_finished", step_id, at, run.revision)


def unknown(step_id: str, at: datetime) -> ControlFact:
    """The answer to a step of a run that was not started."""
    return ControlFact("run_refused", "unknown_run", step_id, at, UNKNOWN_REVISION)
