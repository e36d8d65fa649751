"""How many contacts became active until each day of a cycle, against the cycles before it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate, count
from typing import Any

from schemas.zones import ZONES, zone


@dataclass(frozen=True, slots=True)
class Line:
    """One cycle. `counts` has the contacts that became active until the end of each of its days, first to last.

    Of an open cycle only the days until now. `days`: how many the whole cycle has. `total`: its count.
    """

    cycle_start: datetime
    cycle_end: datetime
    status: str
    total: int
    days: int
    first_day: date
    counts: tuple[int, ...]

    def name(self) -> str:
        """What people call the cycle: its first day on the clock of the workspace."""
        return f"{self.first_day}" + ("" if self.status == "closed" else " (open)")

    def until(self, day: int) -> int:
        """The count until the end of a day, counted from 1; of a later day than there is, the last count."""
        return self.counts[min(day, len(self.counts)) - 1]


@dataclass(frozen=True, slots=True)
class Chart:
    """Cycles of a workspace, the newest first. `time_zone` is that of the newest."""

    workspace_id: str
    time_zone: str
    lines: Sequence[Line]

    def document(self) -> dict[str, Any]:
        """For machines."""
        cycles = [
            {
                "cycle_start": line.cycle_start,
                "cycle_end": line.cycle_end,
                "status": line.status,
                "active_contacts": line.total,
                "days": [
                    {"day": line.first_day + timedelta(days=number), "until_then": until_then}
                    for number, until_then in enumerate(line.counts)
                ],
            }
            for line in self.lines
        ]
        return {"workspace_id": self.workspace_id, "time_zone": self.time_zone, "cycles": cycles}


def day_of(at: datetime, time_zone: str) -> date:
    """The day on the clock of a time zone; of UTC, if the zone is not known."""
    return at.astimezone(zone(time_zone) if time_zone in ZONES else UTC).date()


def line(row: Mapping[str, Any], active: Mapping[date, int], time_zone: str, now: datetime) -> Line:
    """One cycle: `active` has the contacts whose proof lies on a day."""
    first, end = (day_of(row[name], time_zone) for name in ("cycle_start", "cycle_end"))
    days = max((end - first).days, 1)
    until = days if row["status"] == "closed" else min(days, (day_of(now, time_zone) - first).days + 1)
    by_day = (active.get(first + timedelta(days=number), 0) for number in range(max(until, 1)))
    own = (row["cycle_start"], row["cycle_end"], row["status"], row["active_contacts"])
    return Line(*own, days, first, tuple(accumulate(by_day)))


def compared(present: Line, other: Line) -> str:
    """What another cycle had on the present one's last day, and what is more or fewer now; '' if it had none."""
    day = len(present.counts)
    then = other.until(day)
    if other is present or then == 0:
        return ""
    more = round((present.counts[-1] - then) / then * 100)
    words = f"{abs(more)} % {'more' if more > 0 else 'fewer'}" if more else "as many"
    return f"day {day}: {then:,}, now {words}"


def ticks(greatest: int, most: int) -> list[int]:
    """Round numbers from 0 to the greatest or above, at most so many steps: 1, 2 or 5 times a power of ten."""
    step = next(n * 10**power for power in count() for n in (1, 2, 5) if n * 10**power * most >= greatest)
    return list(range(0, max(greatest, 1) + step, step))
