"""Contract 3.5: when a conversation is open."""

import pytest

from tests.workers.records import at
from workers.rules.blocks import Interval
from workers.rules.conversations import last_closing, opened_last, opens, status


@pytest.mark.parametrize(("minute", "closed"), [(1, None), (11, 10)])
def test_a_message_later_than_the_closing_opens(minute: int, closed: int | None) -> None:
    assert opens("message", at(minute), None if closed is None else at(closed))


@pytest.mark.parametrize(
    ("kind", "minute", "closed"), [("message", 10, 10), ("message", 9, 10), ("reaction", 11, 10), ("echo", 11, None)]
)
def test_nothing_else_opens(kind: str, minute: int, closed: int | None) -> None:
    assert not opens(kind, at(minute), None if closed is None else at(closed))


def test_a_block_closes_at_its_begin_and_a_later_closing_by_hand_counts() -> None:
    spell = Interval(at(10), at(20))
    assert last_closing(None, [spell]) == at(10)
    assert last_closing(at(30), [spell]) == at(30)
    assert last_closing(None, []) is None


def test_what_a_late_block_covers_opened_nothing() -> None:
    assert opened_last(at(12), [Interval(at(10), at(20))], None) is None
    assert opened_last(at(20), [Interval(at(10), at(20))], None) == at(20)
    assert opened_last(at(12), [Interval(at(10), at(20))], at(25)) == at(25)


def test_of_two_openings_the_later_holds() -> None:
    assert opened_last(at(30), [], at(25)) == at(30)
    assert opened_last(None, [], at(25)) == at(25)
    assert opened_last(None, [], None) is None


def test_blocked_wins_over_open_and_an_opening_over_an_older_closing() -> None:
    assert status(blocked=True, opened_at=at(2), closed_at=at(1)) == "blocked"
    assert status(blocked=False, opened_at=at(2), closed_at=at(1)) == "open"
    assert status(blocked=False, opened_at=at(2), closed_at=at(2)) == "closed"
    assert status(blocked=False, opened_at=None, closed_at=None) == "closed"
