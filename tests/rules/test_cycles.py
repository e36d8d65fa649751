"""Contract 5.1: billing months."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.zones import ZONES, zone
from tests.workers.records import uuid_of
from workers.rules.cycles import Calendar, Setting, boundary, calendar_of


def setting(issued_at: datetime, name: str, value: Any, channel_id: str = "") -> Setting:
    return Setting(issued_at, uuid_of(f"{issued_at}{name}{value}"), channel_id, name, value)


def fixed(time_zone: str, anchor_day: int) -> Calendar:
    start = datetime(2020, 1, 1, tzinfo=UTC)
    return calendar_of([setting(start, "time_zone", time_zone), setting(start, "anchor_day", anchor_day)])


def utc(*args: int) -> datetime:
    return datetime(*args, tzinfo=UTC)  # type: ignore[misc,arg-type]


def test_without_settings_a_cycle_is_a_month_of_utc() -> None:
    cycle, _ = calendar_of([]).at(utc(2026, 2, 28, 23, 59))
    assert cycle == (utc(2026, 2, 1), utc(2026, 3, 1))


def test_the_anchor_is_clamped_to_each_months_end_from_the_anchor() -> None:
    calendar = fixed("UTC", 31)
    starts = [c.start for c, _ in calendar.between(utc(2026, 1, 31), utc(2026, 4, 1))]
    assert starts == [utc(2026, 1, 31), utc(2026, 2, 28), utc(2026, 3, 31)]


def test_a_boundary_belongs_to_the_cycle_it_opens() -> None:
    calendar = fixed("Asia/Kolkata", 15)
    boundary = utc(2026, 3, 14, 18, 30)
    assert calendar.at(boundary)[0].start == boundary
    assert calendar.at(boundary - timedelta(microseconds=1))[0].end == boundary


@pytest.mark.parametrize(
    ("where", "anchor", "instant", "start"),
    [
        # Brazil's clocks went from 00:00 to 01:00 on 2018-11-04
        ("America/Sao_Paulo", 4, utc(2018, 11, 10), utc(2018, 11, 4, 3)),
        # Cuba's went back from 01:00 to 00:00 on 2026-11-01: midnight happens twice
        ("America/Havana", 1, utc(2026, 11, 10), utc(2026, 11, 1, 4)),
        # Samoa had no 2011-12-30 at all
        ("Pacific/Apia", 30, utc(2012, 1, 10), utc(2011, 12, 30, 10)),
    ],
)
def test_a_missing_midnight_is_the_end_of_the_gap_and_a_double_one_the_first(
    where: str, anchor: int, instant: datetime, start: datetime
) -> None:
    assert fixed(where, anchor).at(instant)[0].start == start


def test_the_first_value_holds_from_the_beginning_a_later_one_from_the_end_of_its_cycle() -> None:
    settings = [
        setting(utc(2026, 3, 10), "anchor_day", 5),
        setting(utc(2026, 4, 10), "anchor_day", 20),
        setting(utc(2026, 4, 11), "mac_block_effect", "immediate"),
    ]
    calendar = calendar_of(settings)
    cycles = [c for c, _ in calendar.between(utc(2026, 1, 10), utc(2026, 6, 1))]

    assert [c.start for c in cycles] == [
        utc(2026, 1, 5), utc(2026, 2, 5), utc(2026, 3, 5), utc(2026, 4, 5), utc(2026, 5, 5), utc(2026, 5, 20),
    ]  # fmt: skip
    assert {s.mac_block_effect for _, s in calendar.between(utc(2026, 1, 10), utc(2026, 6, 1))} == {"immediate"}


def test_a_channel_stops_counting_like_any_setting() -> None:
    calendar = calendar_of(
        [setting(utc(2026, 3, 10), "count", value=True, channel_id="a"),
         setting(utc(2026, 3, 12), "count", value=False, channel_id="a")]
    )  # fmt: skip
    assert calendar.at(utc(2026, 3, 31))[1].uncounted_channels == frozenset()
    assert calendar.at(utc(2026, 4, 1))[1].uncounted_channels == {"a"}


instants = st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1)).map(lambda d: d.replace(tzinfo=UTC))  # noqa: DTZ001
zones = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Pacific/Apia", "Asia/Kathmandu", "America/Havana"]
)
histories = st.lists(
    st.one_of(
        st.builds(setting, instants, st.just("anchor_day"), st.integers(1, 31)),
        st.builds(setting, instants, st.just("time_zone"), zones),
        st.builds(setting, instants, st.just("count_reactions"), st.booleans()),
    ),
    max_size=6,
)


@given(histories, instants)
def test_cycles_cover_time_without_gap_or_overlap(settings: list[Setting], instant: datetime) -> None:
    calendar = calendar_of(settings)
    cycle, _ = calendar.at(instant)
    assert cycle.start <= instant < cycle.end
    assert calendar.at(cycle.end)[0].start == cycle.end
    assert calendar.at(cycle.start)[0] == cycle
    assert calendar.at(cycle.end - timedelta(microseconds=1))[0] == cycle


@given(histories, instants, st.randoms())
def test_the_order_in_which_settings_arrive_changes_nothing(
    settings: list[Setting], instant: datetime, random: Any
) -> None:
    shuffled = list(settings)
    random.shuffle(shuffled)
    assert calendar_of(shuffled).at(instant) == calendar_of(settings).at(instant)


@given(zones, st.integers(1, 31), instants)
def test_a_cycle_starts_at_local_midnight_of_its_anchor(where: str, anchor: int, instant: datetime) -> None:
    start = fixed(where, anchor).at(instant)[0].start.astimezone(zone(where))
    before = (start.astimezone(UTC) - timedelta(seconds=1)).astimezone(zone(where))
    assert before.date() < start.date()


@given(st.sampled_from(sorted(ZONES)), st.integers(2000, 2060), st.integers(1, 12), st.integers(1, 31))
def test_no_cycle_begins_within_a_quarter_of_an_hour(where: str, year: int, month: int, anchor: int) -> None:
    assert boundary(zone(where), year, month, anchor).timestamp() % 900 == 0


def test_no_zone_is_off_by_less_than_a_quarter_of_an_hour() -> None:
    moments = [utc(year, month, 1) for year in range(2000, 2045) for month in range(1, 13)]
    for name in ZONES:
        where = zone(name)
        assert all(at.astimezone(where).minute % 15 == at.astimezone(where).second == 0 for at in moments), name
