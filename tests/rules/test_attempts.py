"""Receipts in any order, attempts in any number."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise, permutations
from typing import get_args
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from workers.rules.attempts import (
    LONGEST_WAIT,
    MOST_IN_ALL,
    MOST_THAT_COUNT,
    PAUSES,
    SHORTEST_WAIT,
    AttemptStatus,
    another_may_follow,
    best,
    is_throttled,
    later,
    out_of_time,
    pause_before_next,
    settle,
    spread,
    standing,
    wait_for_provider,
)
from workers.rules.results import Done

STATUSES = st.sampled_from(get_args(AttemptStatus))


@given(st.lists(STATUSES, max_size=5))
def test_an_attempt_ends_where_it_ends_whatever_the_order(said: list[AttemptStatus]) -> None:
    ends = set()
    for order in permutations(said):
        status: AttemptStatus = "dispatched"
        for word in order:
            status = later(status, word)
        ends.add(status)
    assert len(ends) == 1


def test_delivered_and_read_beat_failed_and_sent_does_not() -> None:
    assert later("failed", "delivered") == later("delivered", "failed") == "delivered"
    assert later("failed", "read") == "read"
    assert later("failed", "sent") == later("sent", "failed") == "failed"


def test_an_ambiguous_attempt_is_settled_by_any_receipt_and_none_is_undone_by_it() -> None:
    assert [later("ambiguous", said) for said in ("sent", "failed", "delivered")] == ["sent", "failed", "delivered"]
    assert later("sent", "ambiguous") == "sent"


@given(STATUSES)
def test_any_receipt_beats_what_the_clock_said_but_ambiguous(said: AttemptStatus) -> None:
    assert (out_of_time(claimed=False), out_of_time(claimed=True)) == ("failed", "ambiguous")
    for known in (out_of_time(claimed=False), out_of_time(claimed=True)):
        assert later(known, said, by_clock=True) == (known if said == "ambiguous" else said)


def test_an_attempt_that_another_followed_counts_as_failed_until_a_receipt_names_it() -> None:
    assert standing({1: "dispatched", 2: "dispatched"}) == {1: "failed", 2: "dispatched"}
    assert standing({1: "sent", 2: "failed"}) == {1: "sent", 2: "failed"}


def test_a_send_shows_its_best_attempt_and_of_equals_the_latest() -> None:
    assert best({1: "failed", 2: "dispatched"}) == 2
    assert best({1: "delivered", 2: "failed"}) == 1
    assert best({1: "failed", 2: "failed"}) == 2


def test_pauses_grow_and_end_after_five_attempts() -> None:
    failed: dict[int, AttemptStatus] = {}
    pauses = []
    for number in range(1, 6):
        failed[number] = "failed"
        pauses.append(pause_before_next(failed, permanent=False, share=0.5))
    assert pauses == [timedelta(seconds=s) for s in (30, 120, 480, 1920)] + [None]


@given(st.uuids(), st.integers(1, 4))
def test_a_pause_is_always_the_same_for_one_attempt_and_near_its_mean(send_id: UUID, attempt: int) -> None:
    failed: dict[int, AttemptStatus] = dict.fromkeys(range(1, attempt + 1), "failed")
    share = spread(send_id, attempt)
    pause = pause_before_next(failed, permanent=False, share=share)
    assert share == spread(send_id, attempt)
    assert pause is not None
    assert 0.8 <= pause / PAUSES[attempt - 1] <= 1.2


def test_sends_that_failed_together_come_back_apart() -> None:
    shares = sorted(spread(UUID(int=n), attempt) for n in range(100) for attempt in (1, 2))
    assert max(later - earlier for earlier, later in pairwise([0.0, *shares, 1.0])) < 0.05


def test_a_provider_puts_an_attempt_off_by_a_day_at_most() -> None:
    assert wait_for_provider(0.25) == timedelta(milliseconds=250)
    assert wait_for_provider(2.0**53) == LONGEST_WAIT == timedelta(days=1)


@given(st.lists(st.booleans(), min_size=1, max_size=MOST_IN_ALL + 5), st.floats(0, 1))
def test_throttled_attempts_neither_count_nor_make_pauses_longer(kinds: list[bool], share: float) -> None:
    attempts: dict[int, AttemptStatus] = {}
    throttled: set[int] = set()
    counted = 0
    for number, slow in enumerate(kinds, 1):
        attempts[number] = "failed"
        if slow:
            throttled.add(number)
        else:
            counted += 1
        pause = pause_before_next(attempts, throttled=throttled, permanent=False, share=share)
        if counted >= MOST_THAT_COUNT or number >= MOST_IN_ALL:
            assert pause is None
        elif slow:
            assert pause == SHORTEST_WAIT
        else:
            alone: dict[int, AttemptStatus] = dict.fromkeys(range(1, counted + 1), "failed")
            assert pause == pause_before_next(alone, permanent=False, share=share)


def test_a_provider_that_throttles_for_ever_is_left_after_a_hundred_attempts() -> None:
    every = range(1, 101)
    assert another_may_follow(every[:99], set(every[:99]))
    assert not another_may_follow(every, set(every))


def test_a_permanent_failure_or_more_than_a_failure_is_no_throttling() -> None:
    until = datetime(2026, 12, 1, tzinfo=UTC)
    assert is_throttled("failed", permanent=False, not_before=until)
    assert not is_throttled("failed", permanent=False, not_before=None)
    assert not is_throttled("failed", permanent=True, not_before=until)
    assert not any(is_throttled(s, permanent=False, not_before=until) for s in get_args(AttemptStatus) if s != "failed")


@given(st.lists(st.sampled_from(("failed", "throttled", "ambiguous")), min_size=1, max_size=9))
def test_a_person_may_have_another_attempt_made_where_one_would_follow_a_failure(kinds: list[str]) -> None:
    statuses = {n: "ambiguous" if kind == "ambiguous" else "failed" for n, kind in enumerate(kinds, 1)}
    attempts: dict[int, AttemptStatus] = {n: later("dispatched", s) for n, s in statuses.items()}  # type: ignore[arg-type]
    throttled = {n for n, kind in enumerate(kinds, 1) if kind == "throttled"}
    answer = settle("ambiguous", attempts, "retry", throttled=throttled)
    failed: dict[int, AttemptStatus] = dict.fromkeys(attempts, "failed")
    pause = pause_before_next(failed, throttled=throttled, permanent=False, share=0.5)
    assert isinstance(answer, Done) == (pause is not None)
    if isinstance(answer, Done):
        assert answer.changed == {"status": "failed", "next_attempt": len(kinds) + 1}


def test_nothing_follows_a_permanent_failure_an_ambiguous_attempt_or_a_success() -> None:
    assert pause_before_next({1: "failed"}, permanent=True, share=0.0) is None
    assert pause_before_next({1: "ambiguous", 2: "failed"}, permanent=False, share=0.0) is None
    assert pause_before_next({1: "delivered", 2: "failed"}, permanent=False, share=0.0) is None
