"""What `sluice runs` shows: lists, and one run with its family and why it ended."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec

from workers.app.database_failures import reading
from workers.app.settings import Settings
from workers.cli import paging, run_words
from workers.cli.pages import Page
from workers.cli.reports import Report, require_workspace
from workers.errors import NotFound
from workers.rules import wording
from workers.store import run_reports


async def listed(
    settings: Settings, workspace: str, contact: UUID | None, state: str | None, before: str | None, limit: int
) -> tuple[Report, bool]:
    """Runs, those that started last on top, and whether none was left out unseen.

    Raises:
        NotFound: there is no such workspace.
        SettingsError: `before` begins with no time.
    """
    start = paging.before_text(before)
    async with reading(settings) as tx:
        if contact is not None:
            rows, whole = await run_reports.runs_of_contact(tx, workspace, contact, state, limit), True
        else:
            rows, whole = await run_reports.runs(tx, workspace, state, start, limit)
        if not rows:
            await require_workspace(tx, workspace)
    details = ("workflow_id", "contact_id", "trigger")
    following = None if contact is not None else paging.older_than(rows, "started_at", "run_id")
    hint = "There is no such run."
    return Report({"runs": rows}, hint=hint, details=details, limit=limit, following=following), whole


async def shown(settings: Settings, workspace: str, run_id: str) -> dict[str, Any]:
    """A run, why it ended in words, its parent, its children, and its steps that wait for a person.

    Raises:
        NotFound: there is no such workspace or run.
    """
    async with reading(settings) as tx:
        row = await run_reports.run(tx, workspace, run_id)
        if row is None:
            await require_workspace(tx, workspace)
            raise NotFound(f"workspace {workspace!r} has no run {run_id!r}")
        parent = (
            await run_reports.run(tx, workspace, row["parent_run_id"]) if row["parent_run_id"] is not None else None
        )
    run = dict(row) | {name: msgspec.json.decode(row[name]) for name in ("children", "held_steps")}
    above = None if parent is None else {n: parent[n] for n in ("run_id", "workflow_id", "state", "reason")}
    return run | {"parent": above, "reason_in_words": run_words.why(run, parent)}


def page(run: Mapping[str, Any]) -> Page:
    """A run as people read it."""
    now = run["now"]
    contact = str(run["contact_id"]) if run["contact_id"] is not None else "unknown"
    parent = run["parent"]
    return {
        "run": run["run_id"],
        "workflow": run["workflow_id"],
        "contact": f"{run['display_name']}, {contact}" if run["display_name"] is not None else contact,
        "trigger": run["trigger"],
        "state": run["state"],
        "because": run["reason_in_words"],
        "started": wording.when(run["started_at"], now),
        "ended": None if run["ended_at"] is None else wording.when(run["ended_at"], now),
        "finished": None
        if run["finished_at"] is None
        else f"{wording.when(run['finished_at'], now)}: {run['outcome']}",
        "above": run["parent_run_id"] if parent is None else _one(parent),
        "below": [_one(child) for child in run["children"]],
        "waits": [
            f"step {step['step_id'] or ''}: send {step['send_id']} for {', '.join(step['reasons'])}"
            for step in run["held_steps"]
        ],
    }


def _one(run: Mapping[str, Any]) -> str:
    state = run["state"] if run["reason"] is None else f"{run['state']}, {run['reason']}"
    return f"{run['run_id']} ({run['workflow_id']}): {state}"
