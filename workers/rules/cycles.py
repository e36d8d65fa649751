"""Billing months (contract 5.1): half-open ranges in UTC, from anchor day and time zone.

Marking and reading both use this file and no other.
"""

import calendar
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

BEGINNING: Final = datetime(1, 1, 1, tzinfo=UTC)

BY_CYCLE: Final = frozenset(
    {
        "time_zone",
        "anchor_day",
        "mac_block_effect",
        "count_broadcasts",
        "count_reactions",
        "close_grace_hours",
        "mac_limit",
    }
)


class Cycle(NamedTuple):
    """[start, end) in UTC."""

    start: datetime
    end: datetime


class Setting(NamedTuple):
    """One value somebody set. `channel_id` is '' for the workspace's own settings."""

    issued_at: datetime
    command_id: UUID
    channel_id: str
    name: str
    value: Any


@dataclass(frozen=True, slots=True)
class CycleSettings:
    """What a message obeys: the values that hold in its cycle."""

    time_zone: str = "UTC"
    anchor_day: int = 1
    mac_block_effect: Literal["next_cycle", "immediate"] = "next_cycle"
    count_broadcasts: bool = True
    count_reactions: bool = True
    close_grace_hours: int = 72
    mac_limit: int | None = None
    uncounted_channels: frozenset[str] = frozenset()

    def with_value(self, setting: Setting) -> "CycleSettings":
        if setting.channel_id:
            others = self.uncounted_channels - {setting.channel_id}
            return replace(self, uncounted_channels=others if setting.value else others | {setting.channel_id})
        return replace(self, **{setting.name: setting.value})


class Calendar:
    """A workspace's cycles over all time, with the settings of each."""

    def __init__(self, starts: Sequence[datetime], settings: Sequence[CycleSettings]) -> None:
        self._starts = starts
        self._settings = settings
        self._last: tuple[Cycle, CycleSettings] | None = None

    def at(self, instant: datetime) -> tuple[Cycle, CycleSettings]:
        """The cycle that holds `instant`, and the values a message in it obeys."""
        if self._last is not None and self._last[0].start <= instant < self._last[0].end:
            return self._last
        index = bisect_right(self._starts, instant) - 1
        settings = self._settings[index]
        cycle = _natural_cycle(instant, ZoneInfo(settings.time_zone), settings.anchor_day)
        # a change of settings starts a cycle at the old boundary; it ends at the first new one
        start = max(cycle.start, self._starts[index])
        end = min(cycle.end, self._starts[index + 1]) if index + 1 < len(self._starts) else cycle.end
        self._last = Cycle(start, end), settings
        return self._last

    def between(self, first: datetime, last: datetime) -> Iterable[tuple[Cycle, CycleSettings]]:
        """Every cycle from the one that holds `first` to the one that holds `last`."""
        current = self.at(first)
        yield current
        while current[0].end <= last:
            current = self.at(current[0].end)
            yield current


def calendar_of(settings: Iterable[Setting]) -> Calendar:
    """The calendar that follows from everything ever set, in whatever order it arrived.

    Of each name the first value (by issued_at) holds from the beginning; a later one from the end of the cycle that
    holds its issued_at.
    """
    ordered = sorted(settings, key=lambda s: (s.issued_at, s.command_id.bytes))
    seen: set[tuple[str, str]] = set()
    values = CycleSettings()
    later: list[Setting] = []
    for setting in ordered:
        if (setting.channel_id, setting.name) in seen:
            later.append(setting)
        else:
            seen.add((setting.channel_id, setting.name))
            values = values.with_value(setting)
    starts, steps = [BEGINNING], [values]
    for setting in later:
        effective = Calendar(starts, steps).at(setting.issued_at)[0].end
        changed = steps[-1].with_value(setting)
        if effective == starts[-1]:
            steps[-1] = changed
        else:
            starts.append(effective)
            steps.append(changed)
    return Calendar(starts, steps)


def _natural_cycle(instant: datetime, zone: ZoneInfo, anchor_day: int) -> Cycle:
    local = instant.astimezone(zone)
    start = boundary(zone, local.year, local.month, anchor_day)
    if start > instant:
        end, (year, month) = start, _month_before(local.year, local.month)
        return Cycle(boundary(zone, year, month, anchor_day), end)
    year, month = _month_after(local.year, local.month)
    return Cycle(start, boundary(zone, year, month, anchor_day))


@lru_cache(maxsize=4_096)
def boundary(zone: ZoneInfo, year: int, month: int, anchor_day: int) -> datetime:
    """The first instant, in UTC, whose local clock shows at least 00:00 of the anchor day (clamped to the month's end).

    Where midnight is skipped that is the first instant after the gap, where it happens twice the first of the two.
    """
    midnight = datetime(year, month, min(anchor_day, calendar.monthrange(year, month)[1]), tzinfo=zone)
    instant = midnight.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == midnight.replace(tzinfo=None):
        return instant
    low, high = instant - timedelta(hours=30), instant + timedelta(hours=30)
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(zone).replace(tzinfo=None) >= midnight.replace(tzinfo=None):
            high = middle
        else:
            low = middle
    return high.replace(microsecond=0)


def _month_before(year: int, month: int) -> tuple[int, int]:
    return (year - 1, 12) if month == 1 else (year, month - 1)


def _month_after(year: int, month: int) -> tuple[int, int]:
    return (year + 1, 1) if month == 12 else (year, month + 1)
