"""Workflow runs: found with their families, locked, and saved."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from asyncpg import Range

from workers.errors import RetryBatch
from workers.rules.blocks import BlockChange, Interval
from workers.rules.contact import ContactKey
from workers.rules.workflows import ContactGone, ContactStep, ControlFact, Run, RunKey, RunVerdict
from workers.store.arrays import columns
from workers.store.connection import Connection
from workers.store.queries import load

_SQL = load("workflows")

StepKey = tuple[str, str, str]
"""(workspace_id, run_id, step_id)."""

Span = tuple[datetime, datetime | None]
"""From when and until when a contact's history changed; None: without end."""

After = tuple[RunKey, str]
"""A run, and the id of the last of its children that is done; '': none."""


class FoundRuns(NamedTuple):
    """Runs that exist, with their contacts. `behind`: workspaces in which an end may not have reached all
    children yet.
    """

    runs: dict[RunKey, UUID | None]
    behind: set[str]


class RunPlace(NamedTuple):
    """The place of a run among those of its contact: first those that have ended, by their end, then those that run, by
    their start.
    """

    running: bool
    at: datetime
    run_id: str


async def find(tx: Connection, wanted: Collection[RunKey], parents: Collection[RunKey] = ()) -> FoundRuns:
    """The existing runs of `wanted`, their parents, and `parents`. Locks nothing.

    In a workspace that is behind, all ancestors as well.
    """
    rows = await tx.fetch(_SQL["find"], *columns(sorted(wanted), 2), *columns(sorted(parents), 2))
    runs = {(workspace_id, run_id): contact_id for workspace_id, run_id, contact_id, _ in rows}
    return FoundRuns(runs, {workspace_id for workspace_id, *_, behind in rows if behind})


async def of_contact(
    tx: Connection,
    contact: ContactKey,
    after: RunPlace,
    until: datetime | None,
    limit: int,
    known_before: datetime | None = None,
) -> list[tuple[RunKey, RunPlace]]:
    """The next runs of a contact behind a place that started before `until`. Locks nothing.

    `known_before`: only those that were learned of before this; None: all.
    """
    rows = await tx.fetch(_SQL["of_contact"], *contact, *after, until, known_before, limit)
    return [((contact[0], place[-1]), RunPlace(*place)) for place in rows]


async def of_contacts(tx: Connection, spans: Mapping[ContactKey, Span], limit: int) -> dict[ContactKey, list[RunKey]]:
    """Runs that had not ended when the history of their contact changed, at most `limit` of each. Locks nothing."""
    rows = await tx.fetch(
        _SQL["of_contacts"], *columns([(*key, *span) for key, span in sorted(spans.items())], 4), limit
    )
    found: dict[ContactKey, list[RunKey]] = {contact: [] for contact in sorted(spans)}
    for workspace_id, contact_id, run_id in rows:
        found[workspace_id, contact_id].append((workspace_id, run_id))
    return found


async def judged_before(tx: Connection, runs: Collection[RunKey]) -> dict[RunKey, BlockChange]:
    """Those of these runs, not yet told of an end, that the steps of an earlier change of their contact's history still
    have to reach, and the change since then that those steps ignore.
    """
    rows = await tx.fetch(_SQL["judged_before"], *columns(sorted(runs), 2))
    return {(w, run_id): msgspec.json.decode(change, type=BlockChange) for w, run_id, change in rows}


async def children(tx: Connection, parents: Sequence[After], limit: int) -> list[tuple[RunKey, RunKey, UUID | None]]:
    """Children of runs, in this order and then by id: the child, its parent and contact. Locks nothing."""
    rows = await tx.fetch(_SQL["children"], *columns([(*run, after) for run, after in parents], 3), limit)
    return [((w, run_id), (w, parent), contact_id) for w, run_id, parent, contact_id in rows]


async def running_below(tx: Connection, runs: Collection[RunKey], limit: int) -> dict[RunKey, UUID | None]:
    """These runs and running descendants that are connected to them by running ones: mostly what their end will reach.
    Locks nothing.
    """
    rows = await tx.fetch(_SQL["running_below"], *columns(sorted(runs), 2), limit)
    return {(workspace_id, run_id): contact_id for workspace_id, run_id, contact_id in rows}


async def count_halts(tx: Connection, contact: ContactKey, span: Span, before: Sequence[Interval] | None = None) -> int:
    """The number of runs that the changed history of a contact, which must have been saved, halts: its own that had not
    ended by then, and those below them. Locks nothing.

    `before`: its history before this change, where an earlier one has not reached all runs yet.
    """
    ranges = None if before is None else [Range(interval.start, interval.end) for interval in before]
    # First from those at the top. Runs that are in a circle of parents have none.
    for from_all in (False, True):
        halts, judged, runs = await tx.fetchrow(_SQL["count_halts"], *contact, *span, ranges, from_all)
        if judged == runs:
            break
    return int(halts)


async def count_children(tx: Connection, parents: Sequence[After]) -> int:
    """The number of children of these runs still to do."""
    return int(await tx.fetchval(_SQL["count_children"], *columns([(*run, after) for run, after in parents], 3)))


async def count_running(tx: Connection, contact: ContactKey) -> tuple[int, datetime]:
    """The number of runs of a contact that have not ended, and the present moment: they were learned of before it."""
    number, moment = await tx.fetchrow(_SQL["count_running"], *contact)
    return number, moment


async def lock(tx: Connection, keys: Iterable[RunKey]) -> dict[RunKey, Run]:
    """Runs, locked until the transaction ends. Unknown ones are left out."""
    rows = await tx.fetch(_SQL["lock_runs"], *columns(sorted(set(keys)), 2))
    return {run.key: run for run in map(_run, rows)}


async def add(tx: Connection, runs: Collection[Run]) -> None:
    """Stores runs that were unknown when their families were found.

    Raises:
        RetryBatch: another transaction started one of them meanwhile; the first start of an id stays.
    """
    if runs and len(await tx.fetch(_SQL["add_runs"], _rows(runs))) < len(runs):
        raise RetryBatch("a run of this batch was started by another transaction")


async def save(tx: Connection, runs: Collection[Run]) -> None:
    """Saves locked runs."""
    if runs:
        await tx.execute(_SQL["save_runs"], _rows(runs), len(runs))


async def first_asked(tx: Connection, asked: Mapping[StepKey, datetime]) -> dict[StepKey, datetime]:
    """When each step of locked runs was requested first, now or before."""
    if not asked:
        return {}
    rows = [(*step, at) for step, at in sorted(asked.items())]
    status = await tx.execute(_SQL["note_steps"], *columns(rows, 4))
    if status == f"INSERT 0 {len(rows)}":
        return dict(asked)
    known = await tx.fetch(_SQL["steps_asked"], *columns(sorted(asked), 3))
    return {(workspace_id, run_id, step_id): at for workspace_id, run_id, step_id, at in known}


def _run(row: Mapping[str, Any]) -> Run:
    step, cut, published = row["contact_step_at"], row["cut_at"], row["published"]
    ended_at = row["finished_at"] if row["state"] == "finished" else row["halted_at"]
    return Run(
        workspace_id=row["workspace_id"],
        run_id=row["run_id"],
        workflow_id=row["workflow_id"],
        contact_id=row["contact_id"],
        trigger=row["trigger"],
        parent_run_id=row["parent_run_id"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        outcome=row["outcome"],
        contact_step=ContactStep(step, row["contact_step_id"]) if step is not None else None,
        cut=ContactGone(cut, row["cut_reason"]) if cut is not None else None,
        verdict=RunVerdict(row["state"], row["reason"], ended_at, row["halted_by"]),
        published=_event(row) if published is not None else None,
        revision=row["revision"],
    )


def _event(row: Mapping[str, Any]) -> ControlFact:
    return ControlFact(
        row["published"],
        row["published_reason"],
        row["published_step_id"],
        row["published_at"],
        row["published_revision"],
    )


def _rows(runs: Iterable[Run]) -> str:
    return msgspec.json.encode([_row(run) for run in runs]).decode()


def _row(run: Run) -> dict[str, Any]:
    step, cut, published = run.contact_step, run.cut, run.published
    state, reason, ended_at, halted_by = run.verdict
    return {
        "workspace_id": run.workspace_id,
        "run_id": run.run_id,
        "workflow_id": run.workflow_id,
        "contact_id": run.contact_id,
        "trigger": run.trigger,
        "parent_run_id": run.parent_run_id,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "outcome": run.outcome,
        "contact_step_at": step and step.at,
        "contact_step_id": step and step.step_id,
        "cut_at": cut and cut.at,
        "cut_reason": cut and cut.reason,
        "state": state,
        "reason": reason,
        "halted_at": ended_at if state in ("halted", "refused") else None,
        "halted_by": halted_by,
        "published": published and published.control,
        "published_reason": published and published.reason,
        "published_step_id": published and published.step_id,
        "published_at": published and published.at,
        "published_revision": published and published.revision,
        "revision": run.revision,
    }
