"""How many records a poll brings follows from how long transactions take."""

from typing import Any

import pytest

from tests.runtime.ledgerbook import TOPIC
from workers.records import Partition
from workers.runtime.decoding import Part
from workers.runtime.poll_size import FIRST_POLL, GOAL_S, LEAST, LONGEST_S, PollSize


@pytest.fixture
def size() -> PollSize:
    """Of a worker in the middle of a backlog that is easy to apply."""
    size = PollSize(2_000)
    for _ in range(3):
        size.took(size.records, GOAL_S / 2)
    assert size.records == 2_000
    return size


def test_records_that_take_long_come_in_smaller_polls(size: PollSize) -> None:
    size.took(2_000, 2.0)
    assert size.records == 200
    size.took(200, 100.0)
    assert size.records == LEAST
    size.took(2_000, 2.0)  # was read before
    assert size.records == LEAST


def test_a_transaction_that_is_short_enough_changes_nothing(size: PollSize) -> None:
    size.took(2_000, LONGEST_S)
    assert size.records == 2_000


def test_polls_grow_again_once_full_ones_are_applied_at_once(size: PollSize) -> None:
    size.took(2_000, 8.0)
    few = size.records
    size.took(few // 4, GOAL_S / 2)  # says nothing about many
    size.took(few, (GOAL_S + LONGEST_S) / 2)
    assert size.records == few
    for _ in range(10):
        size.took(size.records, GOAL_S / 2)
    assert size.records == 2_000


def test_after_a_small_poll_the_next_one_is_careful(size: PollSize) -> None:
    size.came(2_000)
    assert size.records == 2_000
    size.came(10)
    assert size.records == FIRST_POLL == PollSize(2_000).records
    size.took(FIRST_POLL, 3.0)
    size.came(1)
    assert size.records == LEAST


def test_no_poll_exceeds_what_was_told() -> None:
    size = PollSize(10)
    size.took(10, 0.001)
    assert size.records == 10
    size.took(10, 5.0)
    assert (size.records, size.slow) == (10, False)


def test_while_transactions_take_long_partitions_with_little_come_first(size: PollSize) -> None:
    raw: Any = object()
    parts = [Part(Partition(TOPIC, n), [raw] * count, count) for n, count in enumerate((1, 400, 2, 99))]
    assert (size.slow, size.soonest(parts)) == (False, parts)
    size.took(2_000, 5.0)
    assert (size.slow, size.soonest(parts)) == (True, [parts[0], parts[2]])
    assert size.soonest(parts[1:2]) == parts[1:2]
