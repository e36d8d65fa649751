"""Contract 5.1 in every time zone, with every anchor, over fifty years: each instant lies in exactly one cycle."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.zones import ZONES
from tests.rules.test_cycles import fixed, setting
from workers.rules.cycles import Calendar, Cycle, Setting, calendar_of

FIRST, LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2050, 1, 1, tzinfo=UTC)
SHORTEST: Final = timedelta(minutes=15)
"""After a change of the zone: no two zones are apart by less than that."""
LONGEST: Final = timedelta(days=31, hours=3)
"""31 days, and the hours that a zone's clocks went back meanwhile. A change of settings never makes a cycle longer."""
UNCHANGED: Final = timedelta(days=28) - timedelta(hours=3)
"""The shortest without a change: February. Clocks went forward by three hours at most, but for whole days."""

# Days that do not exist, midnights that do not or that exist twice, and shifts of other lengths than an hour.
ODD: Final = (
    "Pacific/Apia", "Pacific/Fakaofo", "America/Havana", "America/Sao_Paulo", "America/Asuncion", "America/Santiago",
    "America/Scoresbysund", "America/Caracas", "Africa/Cairo", "Africa/Casablanca", "Asia/Amman", "Asia/Beirut",
    "Asia/Damascus", "Asia/Gaza", "Asia/Tehran", "Asia/Pyongyang", "Asia/Kathmandu", "Asia/Dhaka", "Atlantic/Azores",
    "Antarctica/Casey", "Antarctica/Troll", "Australia/Lord_Howe", "Europe/Volgograd", "Pacific/Kiritimati",
    "Pacific/Niue", "Etc/GMT+12",
)  # fmt: skip

zones = st.sampled_from(sorted(ZONES)) | st.sampled_from(ODD)
anchors = st.integers(1, 31) | st.integers(28, 31)
instants = st.datetimes(FIRST.replace(tzinfo=None), LAST.replace(tzinfo=None)).map(lambda d: d.replace(tzinfo=UTC))
changes = (
    st.builds(setting, instants, st.just("time_zone"), zones)
    | st.builds(setting, instants, st.just("anchor_day"), anchors)
    | st.builds(setting, instants, st.just("count_reactions"), st.booleans())
    | st.builds(setting, instants, st.just("count"), st.booleans(), st.just("a channel"))
)


def cycles_of(calendar: Calendar) -> list[Cycle]:
    return [cycle for cycle, _ in calendar.between(FIRST, LAST)]


def lies_in_one(calendar: Calendar, cycles: Sequence[Cycle], instant: datetime) -> None:
    """The cycle that is asked for is the only one that the instant can be in."""
    cycle, _ = calendar.at(instant)
    assert cycle.start <= instant < cycle.end
    if FIRST <= instant < LAST:
        assert cycle == cycles[bisect_right([c.start for c in cycles], instant) - 1]


def no_gap_no_overlap(calendar: Calendar, among: Sequence[datetime]) -> list[Cycle]:
    cycles = cycles_of(calendar)
    assert cycles[0].start <= FIRST
    assert cycles[-1].end > LAST
    assert [c.end for c in cycles[:-1]] == [c.start for c in cycles[1:]]
    for instant in among:
        lies_in_one(calendar, cycles, instant)
    # Backwards, so that no answer comes from the cycle before it.
    for cycle in reversed(cycles[:: len(cycles) // 30]):
        for instant in (cycle.end, cycle.end - timedelta(microseconds=1), cycle.start):
            lies_in_one(calendar, cycles, instant)
    return cycles


@settings(max_examples=60)
@given(zones, anchors, st.lists(instants, max_size=5))
def test_each_instant_lies_in_one_cycle_of_about_a_month(where: str, anchor: int, among: list[datetime]) -> None:
    cycles = no_gap_no_overlap(fixed(where, anchor), among)
    lengths = [c.end - c.start for c in cycles]
    assert UNCHANGED <= min(lengths) <= max(lengths) <= LONGEST
    assert len(cycles) in (600, 601, 602)


@settings(max_examples=60)
@given(st.lists(changes, max_size=12), st.lists(instants, max_size=5), st.randoms())
def test_changes_of_settings_leave_no_gap_and_no_overlap(
    log: list[Setting], among: list[datetime], random: Any
) -> None:
    cycles = no_gap_no_overlap(calendar_of(log), [*among, *(s.issued_at for s in log)])
    lengths = [c.end - c.start for c in cycles]
    assert SHORTEST <= min(lengths) <= max(lengths) <= LONGEST
    random.shuffle(log)
    assert cycles_of(calendar_of(log)) == cycles


def test_two_zones_a_quarter_of_an_hour_apart_make_the_shortest_cycle() -> None:
    moved = [
        setting(datetime(2026, 1, 10, tzinfo=UTC), "time_zone", "Asia/Kathmandu"),
        setting(datetime(2026, 2, 10, tzinfo=UTC), "time_zone", "Asia/Kolkata"),
    ]
    assert min(c.end - c.start for c in cycles_of(calendar_of(moved))) == SHORTEST


def test_every_zone_has_no_gap() -> None:
    """All of them, with an anchor each: three years around the end of the time that was known when this was written."""
    for number, name in enumerate(sorted(ZONES)):
        calendar = fixed(name, number % 31 + 1)
        cycles = [c for c, _ in calendar.between(datetime(2026, 1, 1, tzinfo=UTC), datetime(2029, 1, 1, tzinfo=UTC))]
        assert [c.end for c in cycles[:-1]] == [c.start for c in cycles[1:]], name
        assert all(UNCHANGED <= c.end - c.start <= LONGEST for c in cycles), name
