"""The effect of another value of a setting."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.rules.closing import EVER
from workers.rules.cycles import BY_CYCLE, Setting, calendar_of
from workers.rules.settings import WORKSPACE_DEFAULTS, Held, enter, held
from workers.rules.workspace import policies_of

START = datetime(2026, 1, 10, tzinfo=UTC)


def changes(log: list[Setting], new: Setting) -> bool:
    return enter(sorted(log, key=lambda s: s[:2]), new).changed


def setting(day: int, name: str, value: Any, channel_id: str = "") -> Setting:
    return Setting(START + timedelta(days=day), UUID(int=day + 100), channel_id, name, value)


@pytest.mark.parametrize("name", sorted(WORKSPACE_DEFAULTS))
def test_the_default_said_aloud_changes_nothing(name: str) -> None:
    assert not changes([], setting(1, name, WORKSPACE_DEFAULTS[name]))


def test_a_value_that_holds_at_once_changes_only_if_it_is_the_latest() -> None:
    log = [setting(5, "quarantine_days", 30)]
    assert not changes(log, setting(1, "quarantine_days", 3))
    assert not changes(log, setting(6, "quarantine_days", 30))
    assert changes(log, setting(6, "quarantine_days", 3))


def test_an_older_value_that_goes_by_cycle_changes_what_held_from_the_beginning() -> None:
    log = [setting(50, "anchor_day", 15)]
    late = setting(1, "anchor_day", 7)
    assert changes(log, late)
    early = calendar_of([*log, late]).at(START)[1]
    assert (early.anchor_day, calendar_of(log).at(START)[1].anchor_day) == (7, 15)


def test_a_value_that_goes_by_cycle_between_two_equal_ones_changes_something() -> None:
    log = [setting(1, "time_zone", "Europe/Berlin"), setting(90, "time_zone", "Europe/Berlin")]
    assert changes(log, setting(45, "time_zone", "UTC"))
    assert not changes(log, setting(45, "time_zone", "Europe/Berlin"))


def test_a_channel_counts_unless_it_is_said_otherwise() -> None:
    assert not changes([], setting(1, "count", value=True, channel_id="wa-main"))
    assert changes([], setting(1, "count", value=False, channel_id="wa-main"))


def test_a_name_of_a_channel_holds_at_once() -> None:
    log = [setting(5, "name", "Main", "wa-main")]
    assert not changes(log, setting(1, "name", "Old", "wa-main"))
    assert changes(log, setting(6, "name", "New", "wa-main"))


def of(name: str, log: list[Setting], channel_id: str = "") -> list[tuple[datetime, Any]]:
    return [(h.holds_from, h.value) for h in held(log) if (h.channel_id, h.name) == (channel_id, name)]


def test_the_first_value_that_goes_by_cycle_holds_from_the_beginning_and_a_later_one_from_a_cycles_end() -> None:
    log = [setting(50, "anchor_day", 15), setting(1, "anchor_day", 7)]
    # issued on 1 March; the cycle that holds it ends on the 7th
    assert of("anchor_day", log) == [(EVER, 7), (datetime(2026, 3, 7, tzinfo=UTC), 15)]
    tokyo = [*log, setting(2, "time_zone", "Asia/Tokyo")]
    assert of("anchor_day", tokyo) == [(EVER, 7), (datetime(2026, 3, 6, 15, tzinfo=UTC), 15)]


def test_of_two_values_for_one_time_the_last_one_holds() -> None:
    log = [setting(1, "anchor_day", 1), setting(2, "anchor_day", 5), setting(3, "anchor_day", 9)]
    assert of("anchor_day", log) == [(EVER, 1), (datetime(2026, 2, 1, tzinfo=UTC), 9)]


def test_what_holds_already_is_not_said_again() -> None:
    log = [setting(1, "anchor_day", 5), setting(40, "anchor_day", 5)]
    assert of("anchor_day", log) == [(EVER, 5)]


def test_only_what_goes_by_cycle_is_told() -> None:
    log = [
        setting(1, "count", value=False, channel_id="sms-1"),
        setting(2, "name", "Desk", "sms-1"),
        setting(2, "quarantine_days", 1),
    ]
    assert [h for h in held(log) if h.channel_id] == [Held("sms-1", "count", EVER, value=False)]
    assert {h.name for h in held(log) if not h.channel_id} == BY_CYCLE


CHOICES: list[tuple[str, str, list[Any]]] = [
    ("", "time_zone", ["Asia/Tokyo", "America/Havana", "UTC"]),
    ("", "anchor_day", [1, 15, 31]),
    ("", "mac_block_effect", ["immediate", "next_cycle"]),
    ("", "count_broadcasts", [False, True]),
    ("", "count_reactions", [False, True]),
    ("", "quarantine_days", [0, 7, 30]),
    ("", "mac_limit", [None, 9]),
    ("wa-main", "count", [False, True]),
    ("wa-two", "count", [False, True]),
]


BOUNDARIES = [
    datetime(2026, 3, 1, tzinfo=UTC),
    datetime(2026, 3, 15, tzinfo=UTC),
    datetime(2026, 3, 14, 15, tzinfo=UTC),
]


BOUNDARIES = [datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 14, 15, tzinfo=UTC)]


@st.composite
def logs(draw: st.DrawFn) -> list[Setting]:
    log = []
    for number in range(draw(st.integers(0, 12))):
        channel_id, name, values = draw(st.sampled_from(CHOICES))
        at = START + timedelta(days=draw(st.integers(0, 120)))
        log.append(Setting(at, UUID(int=number), channel_id, name, draw(st.sampled_from(values))))
    return draw(st.permutations(log))


@given(log=logs(), days=st.integers(-40, 200))
def test_what_is_held_is_what_workers_go_by(log: list[Setting], days: int) -> None:
    """The calendar tells what a message of that time obeys, the policies what holds at once: as of the last word."""
    cycle, by_cycle = calendar_of(s for s in log if s.name not in ("quarantine_days", "mac_limit")).at(
        START + timedelta(days=days)
    )
    then = {(h.channel_id, h.name): h.value for h in held(log) if h.holds_from <= cycle.start}
    for name in ("time_zone", "anchor_day", "mac_block_effect", "count_broadcasts", "count_reactions"):
        assert then["", name] == getattr(by_cycle, name)
    assert {c for c in ("wa-main", "wa-two") if not then.get((c, "count"), True)} == by_cycle.uncounted_channels


@given(log=logs(), minutes=st.lists(st.integers(-30, 30), min_size=12, max_size=12), days=st.integers(-40, 200))
def test_what_is_superseded_never_matters_whatever_follows(log: list[Setting], minutes: list[int], days: int) -> None:
    """Two or three of a name in one quarter of an hour, and any of them may be the last to come."""
    close = [
        s._replace(issued_at=BOUNDARIES[n % len(BOUNDARIES)] + timedelta(minutes=m))
        for n, (s, m) in enumerate(zip(log, minutes, strict=False))
    ]
    everything = [s for pair in zip(log, close, strict=True) for s in pair]
    kept: dict[tuple[str, str], list[Setting]] = {}
    gone: list[Setting] = []
    for one in everything:
        names = kept.setdefault((one.channel_id, one.name), [])
        gone += enter(names, one).superseded
    left = [s for names in kept.values() for s in names]
    assert sorted(left + gone) == sorted(everything)
    whole, thin = (
        calendar_of(s for s in some if s.name not in ("quarantine_days", "mac_limit")) for some in (everything, left)
    )
    for at in (START + timedelta(days=days), START + timedelta(days=days + 7), *BOUNDARIES):
        assert whole.at(at) == thin.at(at)
    assert policies_of(everything) == policies_of(left)


def test_a_flood_leaves_few_that_matter() -> None:
    log: list[Setting] = []
    superseded = 0
    for n in range(10_000):
        new = Setting(START + timedelta(seconds=n), UUID(int=n), "", "anchor_day", n % 28 + 1)
        superseded += len(enter(log, new).superseded)
        assert len(log) <= n // 900 + 2
    assert superseded + len(log) == 10_000
    policies: list[Setting] = []
    for n in range(100):
        enter(policies, Setting(START + timedelta(days=n * 7 % 100), UUID(int=n), "", "mac_limit", n))
    assert [s.issued_at for s in policies] == [START + timedelta(days=99)]


@given(
    log=logs(), at=st.integers(0, 120), minutes=st.integers(-20, 20), choice=st.sampled_from(CHOICES), data=st.data()
)
def test_a_setting_changes_something_only_if_something_is_other_for_it(
    log: list[Setting], at: int, minutes: int, choice: tuple[str, str, list[Any]], data: st.DataObject
) -> None:
    channel_id, name, values = choice
    when = START + timedelta(days=at, minutes=minutes)
    new = Setting(when, UUID(int=99), channel_id, name, data.draw(st.sampled_from(values)))
    kept: dict[tuple[str, str], list[Setting]] = {}
    for one in log:
        enter(kept.setdefault((one.channel_id, one.name), []), one)
    if enter(kept.setdefault((channel_id, name), []), new).changed:
        return
    by_cycle = [s for s in log if s.name not in ("quarantine_days", "mac_limit")]
    if name in ("quarantine_days", "mac_limit"):
        assert policies_of([*log, new]) == policies_of(log)
        return
    before, after = calendar_of(by_cycle), calendar_of([*by_cycle, new])
    for day in range(-40, 200, 7):
        assert before.at(START + timedelta(days=day)) == after.at(START + timedelta(days=day))


def test_two_values_on_either_side_of_a_cycles_begin_both_matter() -> None:
    march = datetime(2026, 3, 1, tzinfo=UTC)
    log: list[Setting] = []
    times = [START, march - timedelta(microseconds=1), march, march + timedelta(minutes=14)]
    for n, at in enumerate(times):
        enter(log, Setting(at, UUID(int=n), "", "count_reactions", n % 2 == 0))
    assert [s.issued_at for s in log] == [START, march - timedelta(microseconds=1), march + timedelta(minutes=14)]
    assert not calendar_of(log).at(march)[1].count_reactions
