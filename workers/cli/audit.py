"""What `sluice audit` and `sluice commands show` tell: who gave which command, and what became of it."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec

from workers.app.database_failures import reading
from workers.app.settings import Settings
from workers.cli import paging, tables
from workers.cli.pages import Page
from workers.cli.reports import Report, require_workspace
from workers.errors import NotFound
from workers.rules import wording
from workers.store import page_reports
from workers.store.page_reports import Audited


async def listed(settings: Settings, workspace: str, wanted: Audited, before: str | None, limit: int) -> Report:
    """Commands, those that were applied last on top.

    Raises:
        NotFound: there is no such workspace.
        SettingsError: see `paging.before`.
    """
    start = paging.before(before)
    async with reading(settings) as tx:
        rows = await page_reports.audit(tx, workspace, wanted, start, limit)
        if not rows:
            await require_workspace(tx, workspace)
    following = paging.older_than(rows, "at", "command_id")
    hint = "There is no such command in the audit log."
    details = ("role", "module", "detail", "changed", "command_id", "issued_at")
    return Report(
        {"audit": [_decoded(row) for row in rows]}, hint=hint, details=details, limit=limit, following=following
    )


async def command(settings: Settings, workspace: str, command_id: UUID) -> dict[str, Any]:
    """A command that was applied: who gave it, its result, and what it changed.

    Raises:
        NotFound: there is no such workspace, or no command with this id was applied.
    """
    async with reading(settings) as tx:
        row = await page_reports.command(tx, workspace, command_id)
        if row is None:
            await require_workspace(tx, workspace)
            raise NotFound(f"workspace {workspace!r} has no result of a command {command_id}")
    return _decoded(row)


def _decoded(row: page_reports.Row) -> dict[str, Any]:
    return {**row, "changed": msgspec.json.decode(row["changed"])}


def command_page(told: Mapping[str, Any]) -> Page:
    """A command as people read it."""
    reason = f", {told['reason']}" if told["reason"] is not None else ""
    return {
        "command": told["command"],
        "id": str(told["command_id"]),
        "given": f"by {told['actor']} ({told['role']})" + (f" from {told['module']}" if told["module"] else ""),
        "target": told["target"],
        "result": f"{told['outcome']}{reason}",
        "because": told["detail"],
        "applied": wording.when(told["at"], told["now"]),
        "changed": [f"{name}: {tables.text_of(value)}" for name, value in told["changed"].items()],
    }
