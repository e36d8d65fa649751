"""Runs with their parents and children: what one fact changes for the others, and what their engines must hear."""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from workers.rules.blocks import Interval
from workers.rules.workflows import ControlFact, Cut, Run, RunKey, answer, judge, tell, unknown, with_finish, with_step

Histories = Mapping[tuple[str, UUID], Sequence[Interval]]  # (workspace_id, contact_id): its block intervals


class Telling(NamedTuple):
    """A fact for the engine of `run`. `stops`: the run ended just now; False also where an end is only said again."""

    run: RunKey
    contact_id: UUID | None
    fact: ControlFact
    stops: bool = False


class Families:
    """The known runs that facts of `run_ids` can touch: themselves, their parents, and everything below them.

    Parents that form a circle are no family, and each of them is judged once per fact.
    """

    def __init__(self, runs: Iterable[Run], histories: Histories) -> None:
        self.runs = {run.key: run for run in runs}
        self._started: set[RunKey] = set()
        self._changed: set[RunKey] = set()
        self._histories = histories
        self._children: dict[RunKey, set[RunKey]] = defaultdict(set)
        for run in self.runs.values():
            self._link(run)

    def started(self) -> list[Run]:
        """Runs that were unknown before, as they stand."""
        return [self.runs[key] for key in sorted(self._started)]

    def changed(self) -> list[Run]:
        """Runs that were known before and are not what they were."""
        return [self.runs[key] for key in sorted(self._changed - self._started)]

    def start(self, run: Run) -> list[Telling]:
        """A run began. Only the first start of an id counts; a repeat is told how the run ended, if it did."""
        known = self.runs.get(run.key)
        if known is None:
            self._started.add(run.key)
            self.runs[run.key] = run
            self._link(run)
        tellings = self._tell(self._settle(run.key))
        return tellings or self._say_again(run.key)

    def request(self, key: RunKey, step_id: str, action: str, at: datetime) -> list[Telling]:
        """A run asks for a step: the answer comes last, after what the step did to the run's family."""
        run = self.runs.get(key)
        if run is None:
            return [Telling(key, None, unknown(step_id, at))]
        self._put(with_step(run, step_id, action, at))
        tellings = self._tell(self._settle(key))
        if any(telling.run == key for telling in tellings):
            return tellings
        answered, fact = answer(self.runs[key], step_id, at)
        self._put(answered)
        return [*tellings, Telling(key, answered.contact_id, fact)]

    def finish(self, key: RunKey, at: datetime, outcome: str) -> list[Telling]:
        """A run ended by itself. Of an unknown run nothing is kept."""
        run = self.runs.get(key)
        if run is None:
            return []
        self._put(with_finish(run, at, outcome))
        return self._tell(self._settle(key))

    def cut(self, keys: Iterable[RunKey], cut: Cut) -> list[Telling]:
        """The runs' contact went away: what is not over ends. Judged when applied, so the first cut stays."""
        running = [key for key in keys if self.runs[key].verdict.state == "running" and self.runs[key].cut is None]
        for key in running:
            self._put(replace(self.runs[key], cut=cut))
        return self.rejudge(running)

    def rejudge(self, keys: Iterable[RunKey]) -> list[Telling]:
        """Judges runs and everything below them anew."""
        # told only after all is settled: a child judged before its parent may end in another way
        touched = [run for key in keys for run in self._settle(key)]
        return self._tell(dict.fromkeys(touched))

    def _settle(self, key: RunKey) -> list[RunKey]:
        waiting, seen = deque([key]), {key}
        while waiting:
            run = self.runs[waiting.popleft()]
            judged = self._judged(run)
            self._put(judged)
            if judged is not run or run.key == key:
                new = self._children[run.key] - seen
                seen |= new
                waiting.extend(sorted(new))
        return sorted(seen)

    def _judged(self, run: Run) -> Run:
        above = _above(run)
        parent = self.runs.get(above) if above is not None else None
        history = self._histories.get((run.workspace_id, run.contact_id)) if run.contact_id is not None else None
        return judge(run, history, parent)

    def _tell(self, keys: Iterable[RunKey]) -> list[Telling]:
        tellings = []
        for key in keys:
            run, fact = tell(self.runs[key])
            if fact is not None:
                self._put(run)
                tellings.append(Telling(key, run.contact_id, fact, stops=True))
        return tellings

    def _say_again(self, key: RunKey) -> list[Telling]:
        run = self.runs[key]
        return [Telling(key, run.contact_id, run.told)] if run.told is not None else []

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
