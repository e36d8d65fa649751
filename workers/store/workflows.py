"""Workflow runs: found with their families, locked, and saved."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from workers.errors import RetryBatch
from workers.rules.workflows import ContactStep, ControlFact, Cut, Run, RunKey, Verdict
from workers.runtime.batch import Connection
from workers.store.arrays import columns
from workers.store.contacts import ContactKey
from workers.store.queries import load

_SQL = load("workflows")

Found = dict[RunKey, UUID | None]
"""Runs that exist, with the contact of each."""


async def find_families(tx: Connection, wanted: Collection[RunKey], parents: Collection[RunKey] = ()) -> Found:
    """What exists of `wanted`, with everything below and their parents, and what exists of `parents`. Locks nothing."""
    arguments = *columns(sorted(wanted), 2), *columns(sorted(parents), 2)
    return _found(await tx.fetch(_SQL["find_families"], *arguments))


async def of_contacts(tx: Connection, since: Mapping[ContactKey, datetime]) -> Found:
    """The runs of contacts that had not ended before the time given for each. Locks nothing."""
    rows = [(*contact, at) for contact, at in sorted(since.items())]
    return _found(await tx.fetch(_SQL["runs_of_contacts"], *columns(rows, 3)))


async def lock(tx: Connection, keys: Iterable[RunKey]) -> dict[RunKey, Run]:
    """Runs nobody else may judge until the transaction ends. Unknown ones are left out."""
    rows = await tx.fetch(_SQL["lock_runs"], *columns(sorted(set(keys)), 2))
    return {run.key: run for run in map(_run, rows)}


async def add(tx: Connection, runs: Collection[Run]) -> None:
    """Store runs that were unknown when their families were found.

    Raises:
        RetryBatch: another transaction started one of them meanwhile; the first start of an id stays.
    """
    if runs and len(await tx.fetch(_SQL["add_runs"], _rows(runs))) < len(runs):
        raise RetryBatch("a run of this batch was started by another transaction")


async def save(tx: Connection, runs: Collection[Run]) -> None:
    """Replace what is known of locked runs."""
    if runs:
        await tx.execute(_SQL["save_runs"], _rows(runs))


def _found(rows: Iterable[tuple[str, str, UUID | None]]) -> Found:
    return {(workspace_id, run_id): contact_id for workspace_id, run_id, contact_id in rows}


def _run(row: Mapping[str, Any]) -> Run:
    step, cut, told = row["contact_step_at"], row["cut_at"], row["told"]
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
        cut=Cut(cut, row["cut_reason"]) if cut is not None else None,
        verdict=Verdict(row["state"], row["reason"], ended_at, row["halted_by"]),
        told=_fact(row) if told is not None else None,
        revision=row["revision"],
    )


def _fact(row: Mapping[str, Any]) -> ControlFact:
    return ControlFact(row["told"], row["told_reason"], row["told_step_id"], row["told_at"], row["told_revision"])


def _rows(runs: Iterable[Run]) -> str:
    return msgspec.json.encode([_row(run) for run in runs]).decode()


def _row(run: Run) -> dict[str, Any]:
    step, cut, told = run.contact_step, run.cut, run.told
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
        "told": told and told.control,
        "told_reason": told and told.reason,
        "told_step_id": told and told.step_id,
        "told_at": told and told.at,
        "told_revision": told and told.revision,
        "revision": run.revision,
    }
