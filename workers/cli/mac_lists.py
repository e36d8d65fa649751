"""What `sluice mac contacts` and `sluice mac adjustments` show."""

from datetime import datetime

from workers.app.database_failures import reading
from workers.app.settings import Settings
from workers.cli import paging
from workers.cli.mac import require_cycle
from workers.cli.reports import Report
from workers.store import billing_reports


async def contacts(settings: Settings, workspace: str, cycle: datetime, before: str | None, limit: int) -> Report:
    """Who counts in a cycle, those that were counted last on top.

    Raises:
        NotFound: there is no such workspace or cycle.
        SettingsError: see `paging.before`.
    """
    start = paging.before(before)
    async with reading(settings) as tx:
        rows = await billing_reports.counted(tx, workspace, cycle, start, limit)
        if not rows:
            await require_cycle(tx, workspace, cycle)
    following = paging.older_than(rows, "first_counted_at", "contact_id")
    return Report({"mac contacts": rows}, hint="Nobody counts in this cycle.", limit=limit, following=following)


async def adjustments(settings: Settings, workspace: str, cycle: datetime, after: int, limit: int) -> Report:
    """What a cycle was adjusted by after it had closed, oldest first.

    Raises:
        NotFound: there is no such workspace or cycle.
    """
    async with reading(settings) as tx:
        rows = await billing_reports.adjustments_after(tx, workspace, cycle, after, limit)
        if not rows:
            await require_cycle(tx, workspace, cycle)
    following = paging.behind(rows, "adjustment_id")
    hint = "Nothing was adjusted in this cycle."
    return Report({"mac adjustments": rows}, hint=hint, details=("fact_id",), limit=limit, following=following)
