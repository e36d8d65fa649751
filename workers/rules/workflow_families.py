"""Runs with their parents and children: what one event changes for the others, and what their engines must hear."""

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

from workers.rules.blocks import BlockChange, Interval
from workers.rules.workflows import (
    ContactGone,
    ControlFact,
    Run,
    RunKey,
    answer_step,
    judge,
    stopped,
    tell,
    unknown,
    with_finish,
    with_step,
)

Histories = Mapping[tuple[str, UUID], Sequence[Interval]]  # (workspace_id, contact_id): its block intervals
Changes = Mapping[RunKey, BlockChange]


class RunEvent(NamedTuple):
    """An event for the engine of `run`. `stops`: the run ended just now; False also if an end is only repeated."""

    run: RunKey
    contact_id: UUID | None
    event: ControlFact
    stops: bool = False


class Families:
    """The known runs that events can touch: those that they are about, and their parents. Children are added when a
    change of a parent reaches them.

    Parents that form a circle are no family, and each of them is judged once per event.
    """

    def __init__(self, runs: Iterable[Run], histories: Histories, before: Changes = MappingProxyType({})) -> None:
        """`before`: changes of histories that these runs are judged without, because earlier steps come first."""
        self._before = dict(before)
        self.runs = {run.key: run for run in runs}
        self._started: set[RunKey] = set()
        self._changed: set[RunKey] = set()
        self._histories = histories
        self._due: dict[RunKey, None] = {}
        self._children: dict[RunKey, set[RunKey]] = defaultdict(set)
        for run in self.runs.values():
            self._link(run)

    def add(self, runs: Iterable[Run], histories: Histories) -> None:
        """Adds runs, none of which is here yet, and the histories of their contacts."""
        self._histories = {**self._histories, **histories}
        for run in runs:
            self.runs[run.key] = run
            self._link(run)

    def due(self) -> list[RunKey]:
        """The runs with changes, since the last call, that their children are judged by.

        Children that are here have been judged; others must be added and judged.
        """
        due, self._due = list(self._due), {}
        return due

    def started(self) -> list[Run]:
        """Runs that were unknown before, in their present state."""
        return [self.runs[key] for key in sorted(self._started)]

    def changed(self) -> list[Run]:
        """Runs that were known before and have changed."""
        return [self.runs[key] for key in sorted(self._changed - self._started)]

    def start(self, run: Run) -> list[RunEvent]:
        """A run began. Only the first start of an id counts; the answer to a repeat says how the run ended, if it
        did.
        """
        known = self.runs.get(run.key)
        if known is None:
            self._started.add(run.key)
            self._due[run.key] = None  # a child may have started before
            self._link(run)
            # the first state is no change
            self.runs[run.key] = replace(self._judged(run), revision=run.revision)
        run_events = self._run_events_of(self._settle(run.key))
        return run_events or self._say_again(run.key)

    def request(self, key: RunKey, step_id: str, action: str, at: datetime) -> list[RunEvent]:
        """A run requests a step: the answer comes last, after the step's effect on the run's family."""
        run = self.runs.get(key)
        if run is None:
            return [RunEvent(key, None, unknown(step_id, at))]
        self._put(with_step(run, step_id, action, at))
        run_events = self._run_events_of(self._settle(key))
        if any(run_event.run == key for run_event in run_events):
            return run_events
        return [*run_events, RunEvent(key, run.contact_id, answer_step(self.runs[key], step_id, at))]

    def finish(self, key: RunKey, at: datetime, outcome: str) -> list[RunEvent]:
        """A run ended by itself. Nothing is stored of an unknown run."""
        run = self.runs.get(key)
        if run is None:
            return []
        self._put(with_finish(run, at, outcome))
        return self._run_events_of(self._settle(key))

    def cut(self, keys: Iterable[RunKey], cut: ContactGone) -> list[RunEvent]:
        """The runs' contact went away: unfinished runs end. Judged when applied, so the first cut stays."""
        running = [key for key in keys if self.runs[key].verdict.state == "running" and self.runs[key].cut is None]
        for key in running:
            self._put(replace(self.runs[key], cut=cut))
        return self.rejudge(running)

    def catch_up(self, keys: Iterable[RunKey], concerned: Collection[RunKey]) -> list[tuple[RunKey, RunEvent]]:
        """Judges runs for which the end of an ancestor is not stored yet: from the top down. Ancestors that are not
        `concerned` are judged only for their sake. Returns which of the runs led to what must be published.
        """
        order: dict[RunKey, None] = {}
        for key in keys:
            path: dict[RunKey, None] = {}
            above: RunKey | None = key
            while above in self.runs and above not in order and above not in path:
                path[above] = None
                above = _above(self.runs[above])
            order |= dict.fromkeys(reversed(path))
        run_events: list[tuple[RunKey, RunEvent]] = []
        for key in order:
            if key in concerned:
                run_events += ((key, run_event) for run_event in self.rejudge([key]))
            else:
                self.runs[key] = self._judged(self.runs[key])
        return run_events

    def go_on(self, keys: Iterable[RunKey]) -> list[RunEvent]:
        """Judges these runs by the present history, after they were judged without a change of it."""
        return self.rejudge([key for key in keys if self._before.pop(key, None) is not None])

    def rejudge(self, keys: Iterable[RunKey]) -> list[RunEvent]:
        """Judges runs and everything below them again."""
        # published only after all are judged: a child judged before its parent may end in another way
        touched = [run for key in keys for run in self._settle(key)]
        return self._run_events_of(dict.fromkeys(touched))

    def _settle(self, key: RunKey) -> list[RunKey]:
        waiting, seen = deque([key]), {key}
        while waiting:
            run = self.runs[waiting.popleft()]
            judged = self._judged(run)
            self._put(judged)
            if (judged.trigger, stopped(judged)) != (run.trigger, stopped(run)):
                self._due[run.key] = None
            if judged is not run or run.key == key:
                new = self._children[run.key] - seen
                seen |= new
                waiting.extend(sorted(new))
        return sorted(seen)

    def _judged(self, run: Run) -> Run:
        above = _above(run)
        parent = self.runs.get(above) if above is not None else None
        contact = (run.workspace_id, run.contact_id) if run.contact_id is not None else None
        history = self._histories.get(contact) if contact is not None else None
        change = self._before.get(run.key)
        return judge(run, change.undone(history) if change is not None and history is not None else history, parent)

    def _run_events_of(self, keys: Iterable[RunKey]) -> list[RunEvent]:
        run_events = []
        for key in keys:
            run, event = tell(self.runs[key])
            if event is not None:
                self._put(run)
                run_events.append(RunEvent(key, run.contact_id, event, stops=True))
        return run_events

    def _say_again(self, key: RunKey) -> list[RunEvent]:
        run = self.runs[key]
        return [RunEvent(key, run.contact_id, run.published)] if run.published is not None else []

    def _put(self, run: Run) -> None:
        if self.runs[run.key] is not run:
            self.runs[run.key] = run
            self._changed.add(run.key)

    def _link(self, run: Run) -> None:
        above = _above(run)
        if above is not None:
            self._children[above].add(run.key)


def _above(run: Run) -> RunKey | None:
    if run.parent_run_id is None or run.parent_run_id == run.run_id:
        return None
    return run.workspace_id, run.parent_run_id
