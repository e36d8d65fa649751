"""Applies the end of a run to its children: loads and judges them as far as the end reaches, in bounded parts."""

from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID

from workers.rules.workflow_families import Families, RunEvent
from workers.rules.workflows import RunKey
from workers.store import workflows
from workers.store.connection import Connection
from workers.store.workflows import After
from workers.workflows.context import People, contacts_of, histories, lock_contacts

_AT_A_TIME: Final = 1_000
"""Number of parents whose children are queried, and of children that are loaded, before other tasks run."""


class Spread:
    """Applies changes to children that are not loaded yet.

    `cause`: why the children of each run are due, and theirs in turn.
    """

    def __init__(self, tx: Connection, families: Families, people: People, cause: dict[RunKey, Any]) -> None:
        self.run_events: list[RunEvent] = []
        self.due: list[After] = []
        self.cause = cause
        self._tx = tx
        self._families = families
        self._people = people

    async def run(self, due: Sequence[After], limit: int) -> None:
        """`run_events` are the events for engines, `due` is what is left: mostly nothing. `limit`: maximum number of
        children.
        """
        self.due = _each_once(due)
        while self.due and (loaded := await self._once(limit)) is not None:
            limit -= loaded

    async def _once(self, limit: int) -> int | None:
        """The number of loaded children; None: there are more than the limit."""
        asked, later = self.due[:_AT_A_TIME], self.due[_AT_A_TIME:]
        some = min(limit, _AT_A_TIME) if limit > 0 else _AT_A_TIME
        found = await workflows.children(self._tx, asked, some)
        new = {child: contact_id for child, _, contact_id in found if child not in self._families.runs}
        if new and limit <= 0:
            return None
        if len(found) == some:
            last, parent, _ = found[-1]
            [place] = [number for number, (run, _) in enumerate(asked) if run == parent]
            later = [(parent, last[1]), *asked[place + 1 :], *later]
        for child, parent, _ in found:
            self.cause.setdefault(child, self.cause[parent])
        loaded = await self._add(new, some) if new else 0
        # Earlier ones were judged with their parents.
        self.run_events += self._families.rejudge(new)
        due = self._families.due()
        for key in due:
            self._blame(key)
        # Depth first, so that few runs wait. A child that starts meanwhile is visible only once its parent is locked:
        # the children of all are queried again.
        self.due = _each_once([*((key, "") for key in due), *later])
        return loaded

    async def _add(self, new: dict[RunKey, UUID | None], limit: int) -> int:
        below = await workflows.running_below(self._tx, new, limit)
        known = self._families.runs
        new |= {key: contact_id for key, contact_id in below.items() if key not in known and key not in new}
        await lock_contacts(self._tx, contacts_of(new), self._people)
        runs = await workflows.lock(self._tx, new)
        self._families.add(runs.values(), await histories(self._tx, runs, self._people))
        return len(new)

    def _blame(self, key: RunKey) -> None:
        """The cause of a run that was loaded together with its parent."""
        path = [key]
        while path[-1] not in self.cause:
            run = self._families.runs[path[-1]]
            path.append((run.workspace_id, run.parent_run_id or ""))
        for run_key in path:
            self.cause[run_key] = self.cause[path[-1]]


def _each_once(due: Iterable[After]) -> list[After]:
    """Each run once, with the first of the positions from which its children are due."""
    first: dict[RunKey, str] = {}
    for run, after in due:
        first[run] = min(after, first.get(run, after))
    return list(first.items())


def halts(run_events: Iterable[RunEvent]) -> int:
    """How many of these say that a run is halted. A run that started inside a block is refused instead."""
    return sum(run_event.event.control == "run_halted" for run_event in run_events)
