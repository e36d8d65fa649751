"""What another value of a setting changes."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from workers.rules.cycles import Setting, calendar_of
from workers.rules.settings import WORKSPACE_DEFAULTS, changes

START = datetime(2026, 1, 10, tzinfo=UTC)


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
