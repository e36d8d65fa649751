"""`sluice mac chart`: how many contacts became active until each day of a cycle, against the cycles before it."""

from datetime import datetime

from workers.app.database_failures import reading
from workers.app.settings import Settings
from workers.cli.mac import require_cycle
from workers.errors import NotPossible
from workers.rules.mac_chart import Chart, line
from workers.store import billing_reports
from workers.store.connection import transaction_time


async def chart(settings: Settings, workspace: str, cycle: datetime | None, before: int) -> Chart:
    """A cycle, the present one unless it is given, and as many as `before` of those before it.

    Raises:
        NotFound: there is no such workspace or cycle.
        NotPossible: the workspace has no cycle yet.
    """
    async with reading(settings) as tx:
        await require_cycle(tx, workspace, cycle)
        rows = await billing_reports.last_cycles(tx, workspace, cycle, before + 1)
        if not rows:
            raise NotPossible(f"workspace {workspace!r} has no message yet: its first one begins its first cycle")
        starts = [row["cycle_start"] for row in rows]
        zones = await billing_reports.zones(tx, workspace, starts)
        days = await billing_reports.days(tx, workspace, starts)
        now = await transaction_time(tx)
    lines = [line(row, days[row["cycle_start"]], zones.get(row["cycle_start"], "UTC"), now) for row in rows]
    return Chart(workspace, zones.get(starts[0], "UTC"), lines)
