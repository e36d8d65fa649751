"""`sluice mac list --account`: what the workspaces of a billing account come to, cycle by cycle."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from operator import itemgetter
from typing import Any

from schemas.zones import zone
from workers.app.database_failures import reading
from workers.app.settings import Settings
from workers.cli.mac import CountFilter
from workers.cli.reports import Report
from workers.errors import NotFound
from workers.store import reports

Row = Mapping[str, Any]


async def of_account(settings: Settings, account: str, wanted: CountFilter) -> Report:
    """Counts of an account: the sum of the cycles that begin on one day, and those of each workspace, newest first.

    Raises:
        NotFound: no workspace of that account has such a cycle.
    """
    async with reading(settings) as tx:
        found = await reports.mac_accounts(tx, account, wanted.cycle, wanted.since)
        zones = await reports.time_zones(tx, {row["workspace_id"] for row in found})
    if not found:
        raise NotFound(
            f"no workspace of an account {account!r} has such a cycle; the billing worker reads accounts from "
            "SLUICE_ACCOUNTS_FILE at its start"
        )
    rows = _with_first_days(found, zones)
    sums = summed(rows)[: wanted.limit]
    shown = [row for row in rows if row["first_day"] >= sums[-1]["first_day"]]
    details = ("account", "cycle_start", "cycle_end")
    return Report({"cycles": sums, "workspaces": shown}, details=details)


def summed(rows: Iterable[Row]) -> list[Row]:
    """The sums of the cycles by `first_day`, newest first. A sum is closed once all of its cycles are."""
    by_day: dict[date, list[Row]] = defaultdict(list)
    for row in rows:
        by_day[row["first_day"]].append(row)
    return [
        {
            "account": of_day[0]["account"],
            "first_day": day,
            "workspaces": len({row["workspace_id"] for row in of_day}),
            "active_contacts": sum(row["active_contacts"] for row in of_day),
            "adjustments": sum(row["adjustments"] for row in of_day),
            "status": "open" if any(row["status"] == "open" for row in of_day) else "closed",
        }
        for day, of_day in sorted(by_day.items(), reverse=True)
    ]


def _with_first_days(rows: Sequence[Row], zones: Mapping[str, Sequence[tuple[datetime, str]]]) -> list[Row]:
    """Adds to each cycle its first day on the clock of its workspace, where it begins at midnight."""
    return [
        {
            "account": row["account"],
            "workspace_id": row["workspace_id"],
            "first_day": row["cycle_start"]
            .astimezone(zone(_held(zones[row["workspace_id"]], row["cycle_start"])))
            .date(),
            **row,
        }
        for row in rows
    ]


def _held(values: Sequence[tuple[datetime, str]], at: datetime) -> str:
    """The value that held then; the first one holds from the beginning."""
    return values[max(0, bisect_right(values, at, key=itemgetter(0)) - 1)][1]
