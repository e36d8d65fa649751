"""Billing months (contract 5.1): half-open ranges in UTC, from anchor day and time zone.

Writing and reading use only this file.
"""

import calendar
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, TypeVar
from uuid import UUID

from schemas.zones import zone
from workers.rules.closing import GraceChange, closing_instant, in_force

T = TypeVar("T")

FIRST_INSTANT: Final = datetime(1, 1, 1, tzinfo=UTC)

BY_CYCLE: Final = frozenset(
    {
        "time_zone",
        "anchor_day",
        "mac_block_effect",
        "count_broadcasts",
        "count_reactions",
    }
)

CUTTING: Final = frozenset({"time_zone", "anchor_day"})
"""The names that decide where cycles begin."""


class Cycle(NamedTuple):
    """[start, end) in UTC."""

    start: datetime
    end: datetime


CycleTurns = Sequence[tuple[datetime, bool]]
"""From when on a channel counts, or does not, oldest first."""


class Setting(NamedTuple):
    """One value of a setting. `channel_id` is '' for settings of the workspace.

    `recorded_at`: the watermark of its record. `not_before`: the end of the last cycle that was closed when the value
    came; it holds for no earlier one. None: no cycle was closed. `cycles_from`: where the workspace's first cycle began
    then; None: it had none.
    """

    issued_at: datetime
    command_id: UUID
    channel_id: str
    name: str
    value: Any
    recorded_at: datetime | None = None
    not_before: datetime | None = None
    cycles_from: datetime | None = None


class Uncounted:
    """The test channels of one cycle: those whose last change before its start says that they do not count."""

    __slots__ = ("_start", "_turns")

    def __init__(self, turns: Mapping[str, CycleTurns], start: datetime) -> None:
        self._turns = turns
        self._start = start

    def __contains__(self, channel_id: object) -> bool:
        turns = self._turns.get(channel_id) if isinstance(channel_id, str) else None
        if turns is None:
            return False
        index = bisect_right(turns, self._start, key=itemgetter(0)) - 1
        return index >= 0 and not turns[index][1]

    def __iter__(self) -> Iterator[str]:
        return (channel_id for channel_id in self._turns if channel_id in self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Iterable) and set(self) == set(other)

    def __hash__(self) -> int:
        return hash(frozenset(self))


_NONE: Final = Uncounted({}, FIRST_INSTANT)


@dataclass(frozen=True, slots=True)
class CycleSettings:
    """The settings of a message: the values that hold in its cycle."""

    time_zone: str = "UTC"
    anchor_day: int = 1
    mac_block_effect: Literal["next_cycle", "immediate"] = "next_cycle"
    count_broadcasts: bool = True
    count_reactions: bool = True
    uncounted_channels: Uncounted = _NONE


class Calendar:
    """A workspace's cycles over all time, with the settings of each."""

    def __init__(
        self,
        starts: Sequence[datetime],
        settings: Sequence[CycleSettings],
        turns: Mapping[str, CycleTurns] = MappingProxyType({}),
        graces: Sequence[GraceChange] = (),
    ) -> None:
        self._graces = graces
        self._starts = starts
        self._settings = settings
        self._turns = turns
        self._last: tuple[Cycle, CycleSettings] | None = None

    def at(self, instant: datetime) -> tuple[Cycle, CycleSettings]:
        """The cycle that contains `instant`, and the settings of a message in it."""
        if self._last is not None and self._last[0].start <= instant < self._last[0].end:
            return self._last
        index = bisect_right(self._starts, instant) - 1
        settings = self._settings[index]
        cycle = _natural_cycle(instant, zone(settings.time_zone), settings.anchor_day)
        # a change of settings starts a cycle at the old boundary; it ends at the first new one
        start = max(cycle.start, self._starts[index])
        end = min(cycle.end, self._starts[index + 1]) if index + 1 < len(self._starts) else cycle.end
        if self._turns:
            settings = replace(settings, uncounted_channels=Uncounted(self._turns, start))
        self._last = Cycle(start, end), settings
        return self._last

    def closes_at(self, cycle: Cycle) -> datetime:
        """The instant from which on the cycle is closed."""
        return closing_instant(cycle.end, self._graces)

    def is_late(self, cycle: Cycle, recorded_at: datetime | None) -> bool:
        """Whether a fact of that watermark is too late for the cycle's closed figure."""
        return recorded_at is not None and recorded_at >= cycle.end and recorded_at >= self.closes_at(cycle)

    def starts_between(self, first: datetime, last: datetime) -> set[datetime]:
        """The starts of the cycles of `between`."""
        return {cycle.start for cycle, _ in self.between(first, last)}

    def between(self, first: datetime, last: datetime) -> Iterable[tuple[Cycle, CycleSettings]]:
        """Every cycle from the one that contains `first` to the one that contains `last`."""
        current = self.at(first)
        yield current
        while current[0].end <= last:
            current = self.at(current[0].end)
            yield current


def calendar_of(settings: Iterable[Setting], graces: Iterable[GraceChange] = ()) -> Calendar:
    """The calendar that follows from all settings that go by cycle, in any order of arrival."""
    folded = _folded(list(settings))
    return Calendar(folded.starts, folded.steps, folded.turns, in_force(graces))


def holding(settings: Iterable[Setting]) -> list[tuple[datetime, Setting]]:
    """Each of these settings, which all go by cycle, with the time from which it holds; at one time the last one
    holds.
    """
    return _folded(list(settings)).since


class _Fold(NamedTuple):
    """From when on cycles have which settings, from when on each channel counts, from when on each value holds."""

    starts: list[datetime]
    steps: list[CycleSettings]
    turns: dict[str, list[tuple[datetime, bool]]]
    since: list[tuple[datetime, Setting]]


def _folded(settings: Sequence[Setting]) -> _Fold:
    """What the settings come to. One that came when cycles were closed changes nothing before their end: there the
    settings hold as they were without it.
    """
    ends = sorted({s.not_before for s in settings if s.not_before is not None})
    known = _fold([s for s in settings if s.not_before is None])
    for end in ends:
        then = _fold([s for s in settings if s.not_before is None or s.not_before <= end])
        steps = _joined(zip(known.starts, known.steps, strict=True), zip(then.starts, then.steps, strict=True), end)
        known = _Fold(
            [at for at, _ in steps],
            [step for _, step in steps],
            {channel: _joined(known.turns.get(channel, ()), turns, end) for channel, turns in then.turns.items()},
            _joined_names(known.since, then.since, end),
        )
    return known


def _joined(
    before: Iterable[tuple[datetime, T]], after: Iterable[tuple[datetime, T]], at: datetime
) -> list[tuple[datetime, T]]:
    """Values by time, oldest first: `before` until `at`, and `after` from then on."""
    kept = [(since, value) for since, value in before if since < at]
    following = list(after)
    current = [value for since, value in following if since <= at][-1:]
    new = [(at, value) for value in current if not kept or kept[-1][1] != value]
    return [*kept, *new, *((since, value) for since, value in following if since > at)]


def _joined_names(
    before: Iterable[tuple[datetime, Setting]], after: Iterable[tuple[datetime, Setting]], at: datetime
) -> list[tuple[datetime, Setting]]:
    by_name: dict[tuple[str, str], tuple[list[tuple[datetime, Setting]], list[tuple[datetime, Setting]]]] = {}
    for n, values in enumerate((before, after)):
        for since, setting in values:
            by_name.setdefault((setting.channel_id, setting.name), ([], []))[n].append((since, setting))
    found = [_joined(sorted(old, key=_since), sorted(new, key=_since), at) for old, new in by_name.values()]
    return [value for values in found for value in values]


_since: Final = itemgetter(0)


def _fold(settings: Iterable[Setting]) -> _Fold:
    """Of each name the first value (by issued_at) holds from the beginning; a later one from the end of the cycle that
    contains its issued_at.
    """
    ordered = sorted(settings, key=lambda s: (s.issued_at, s.command_id.bytes))
    first: dict[tuple[str, str], Setting] = {}
    later = [s for s in ordered if first.setdefault((s.channel_id, s.name), s) is not s]
    since = [(FIRST_INSTANT, setting) for setting in first.values()]
    turns = {s.channel_id: [(FIRST_INSTANT, s.value)] for s in first.values() if s.channel_id}
    starts, steps = [FIRST_INSTANT], [CycleSettings(**{s.name: s.value for s in first.values() if not s.channel_id})]
    for setting in later:
        effective = Calendar(starts, steps).at(setting.issued_at)[0].end
        since.append((effective, setting))
        if setting.channel_id:
            turns[setting.channel_id].append((effective, setting.value))
            continue
        changed = replace(steps[-1], **{setting.name: setting.value})
        if effective == starts[-1]:
            steps[-1] = changed
        elif changed != steps[-1]:
            starts.append(effective)
            steps.append(changed)
    return _Fold(starts, steps, turns, since)


def _natural_cycle(instant: datetime, where: tzinfo, anchor_day: int) -> Cycle:
    local = instant.astimezone(where)
    start = boundary(where, local.year, local.month, anchor_day)
    if start > instant:
        end, (year, month) = start, _month_before(local.year, local.month)
        return Cycle(boundary(where, year, month, anchor_day), end)
    year, month = _month_after(local.year, local.month)
    return Cycle(start, boundary(where, year, month, anchor_day))


@lru_cache(maxsize=4_096)
def boundary(where: tzinfo, year: int, month: int, anchor_day: int) -> datetime:
    """The first instant, in UTC, whose local clock shows at least 00:00 of the anchor day (clamped to the month's end).

    If midnight is skipped, that is the first instant after the gap; if it occurs twice, the first of the two.
    """
    midnight = datetime(year, month, min(anchor_day, calendar.monthrange(year, month)[1]), tzinfo=where)
    instant = midnight.astimezone(UTC)
    if instant.astimezone(where).replace(tzinfo=None) == midnight.replace(tzinfo=None):
        return instant
    low, high = instant - timedelta(hours=30), instant + timedelta(hours=30)
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(where).replace(tzinfo=None) >= midnight.replace(tzinfo=None):
            high = middle
        else:
            low = middle
    return high.replace(microsecond=0)


def _month_before(year: int, month: int) -> tuple[int, int]:
    return (year - 1, 12) if month == 1 else (year, month - 1)


def _month_after(year: int, month: int) -> tuple[int, int]:
    return (year + 1, 1) if month == 12 else (year, month + 1)
