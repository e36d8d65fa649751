"""What `sluice workspaces` and `sluice settings` show."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from workers.app.database_failures import reading
from workers.app.settings import Settings
from workers.cli import paging
from workers.cli.reports import Report, require_workspace
from workers.store import page_reports

_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)  # no event is older
_DETAILS: Final = (
    *("mac_block_effect", "count_broadcasts", "count_reactions", "close_grace_hours", "quarantine_days"),
    *("hold_ttl_hours", "claim_ttl_hours", "message_retention_days", "merge_undo_hours"),
)


async def workspaces(settings: Settings, after: str, limit: int) -> Report:
    """Workspaces behind one, with their settings."""
    async with reading(settings) as tx:
        rows = await page_reports.workspaces(tx, after, limit)
    following = paging.behind(rows, "workspace_id")
    return Report(
        {"workspaces": rows}, hint="There is no workspace.", details=_DETAILS, limit=limit, following=following
    )


async def settings_of(settings: Settings, workspace: str, limit: int) -> Report:
    """What is configured in a workspace.

    Raises:
        NotFound: there is no such workspace.
    """
    async with reading(settings) as tx:
        found = await page_reports.configured(tx, workspace, limit)
        if not found["settings"]:
            await require_workspace(tx, workspace)
    values = [dict(row) | {"value": msgspec.json.decode(row["value"])} for row in found["settings"]]
    return Report({**found, "settings": values}, limit=limit, told=_told)


def _told(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return row if row.get("holds_from") != _BEGINNING else {**row, "holds_from": "the beginning"}
