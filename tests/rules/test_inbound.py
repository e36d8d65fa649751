"""Contract 3.1, 3.6, 5.2 and 5.3: the verdict on a message and whether it counts."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.rules.test_cycles import setting, utc
from workers.rules.blocks import Interval
from workers.rules.cycles import calendar_of
from workers.rules.inbound import Accepted, Dropped, Facts, judge

BLOCK = utc(2026, 3, 10)
UNBLOCK = utc(2026, 5, 10)
HISTORY = (Interval(BLOCK, UNBLOCK),)
DEFAULT = calendar_of([])
IMMEDIATE = calendar_of([setting(datetime(2026, 1, 1, tzinfo=UTC), "mac_block_effect", "immediate")])
TICK = timedelta(microseconds=1)


def facts(at: datetime, kind: str = "message") -> Facts:
    return Facts(kind, "wa", at)


@pytest.mark.parametrize(
    ("at", "dropped"),
    [(BLOCK - TICK, False), (BLOCK, True), (UNBLOCK - TICK, True), (UNBLOCK, False)],
)
@pytest.mark.parametrize("kind", ["message", "reaction"])
def test_the_interval_is_half_open(at: datetime, kind: str, *, dropped: bool) -> None:
    assert isinstance(judge(facts(at, kind), HISTORY, DEFAULT), Dropped) is dropped


def test_next_cycle_lets_a_dropped_message_count_in_the_cycle_that_holds_the_block() -> None:
    assert judge(facts(BLOCK + TICK), HISTORY, DEFAULT).counted
    assert not judge(facts(utc(2026, 4, 1)), HISTORY, DEFAULT).counted
    assert not judge(facts(BLOCK + TICK), HISTORY, IMMEDIATE).counted


def test_a_block_on_the_boundary_belongs_to_the_cycle_it_opens() -> None:
    history = (Interval(utc(2026, 3, 1), None),)
    assert judge(facts(utc(2026, 3, 1)), history, DEFAULT).counted
    assert not judge(facts(utc(2026, 4, 1)), history, DEFAULT).counted


def test_each_interval_is_judged_alone() -> None:
    history = (Interval(utc(2026, 3, 5), utc(2026, 3, 6)), Interval(utc(2026, 4, 5), None))
    assert judge(facts(utc(2026, 4, 6)), history, DEFAULT).counted
    assert not judge(facts(utc(2026, 5, 6)), history, DEFAULT).counted


def test_an_echo_is_never_dropped_and_counts_only_outside_a_block() -> None:
    inside = judge(facts(BLOCK, "echo"), HISTORY, DEFAULT)
    assert inside == Accepted(counted=False, cycle=DEFAULT.at(BLOCK)[0], block_start=BLOCK)
    assert judge(facts(UNBLOCK, "echo"), HISTORY, DEFAULT).counted


def test_what_a_person_released_wins_over_the_interval() -> None:
    verdict = judge(Facts("message", "wa", BLOCK, released=True), HISTORY, IMMEDIATE)
    assert verdict == Accepted(counted=True, cycle=IMMEDIATE.at(BLOCK)[0], block_start=BLOCK)


def test_what_was_erased_stays_dropped_but_counts_by_its_event_time() -> None:
    verdict = judge(Facts("message", "wa", utc(2026, 6, 1), erased=True), HISTORY, DEFAULT)
    assert isinstance(verdict, Dropped)
    assert verdict.counted


@pytest.mark.parametrize(
    ("name", "kind"), [("count_reactions", "reaction"), ("count_broadcasts", "broadcast"), ("count", "message")]
)
def test_what_the_workspace_does_not_count_does_not_count(name: str, kind: str) -> None:
    channel_id = "wa" if name == "count" else ""
    calendar = calendar_of([setting(utc(2026, 1, 1), name, value=False, channel_id=channel_id)])
    assert not judge(facts(utc(2026, 3, 1), kind), (), calendar).counted
    assert judge(facts(utc(2026, 3, 1), kind), (), DEFAULT).counted
