"""Receipts in any order, attempts in any number."""

from datetime import timedelta
from itertools import permutations
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from workers.rules.attempts import AttemptStatus, best, later, pause_before_next

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


def test_a_send_shows_its_best_attempt_and_of_equals_the_latest() -> None:
    assert best({1: "failed", 2: "dispatched"}) == 2
    assert best({1: "delivered", 2: "failed"}) == 1
    assert best({1: "failed", 2: "failed"}) == 2


def test_pauses_grow_and_end_after_five_attempts() -> None:
    failed: dict[int, AttemptStatus] = {}
    pauses = []
    for number in range(1, 6):
        failed[number] = "failed"
        pauses.append(pause_before_next(failed, permanent=False))
    assert pauses == [timedelta(seconds=s) for s in (30, 120, 480, 1920)] + [None]


def test_nothing_follows_a_permanent_failure_an_ambiguous_attempt_or_a_success() -> None:
    assert pause_before_next({1: "failed"}, permanent=True) is None
    assert pause_before_next({1: "ambiguous", 2: "failed"}, permanent=False) is None
    assert pause_before_next({1: "delivered", 2: "failed"}, permanent=False) is None
