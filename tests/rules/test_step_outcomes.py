"""What a step hears of its held send: each change of the outcome, once."""

from itertools import pairwise
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from schemas.outputs import SendState
from workers.rules.step_outcomes import SendStanding, outcome_of, outcome_to_tell

HELD = SendStanding("held")
WAITS = SendStanding("failed", another_follows=True)
STANDINGS = st.sampled_from([*map(SendStanding, get_args(SendState)), WAITS])


@given(st.lists(STANDINGS))
def test_who_listens_knows_the_outcome_and_hears_nothing_twice(way: list[SendStanding]) -> None:
    known, last = None, HELD
    for standing in way:
        heard = outcome_to_tell(last, standing, was_held=True)
        assert heard is None or heard != known
        known = outcome_of(standing) and (heard or known)  # a hold makes the step wait again
        assert known == outcome_of(standing)
        last = standing


@given(STANDINGS, STANDINGS)
def test_the_step_of_a_send_that_was_never_held_hears_nothing(before: SendStanding, after: SendStanding) -> None:
    assert outcome_to_tell(before, after, was_held=False) is None


def test_every_state_of_a_send_that_was_decided_has_an_outcome() -> None:
    waiting = {state for state in get_args(SendState) if outcome_of(SendStanding(state)) is None}

    assert waiting == {"requested", "held"}


def test_a_failure_is_told_once_nothing_follows_and_taken_back_by_a_receipt() -> None:
    way = [
        HELD,
        *map(SendStanding, ("released", "dispatched")),
        WAITS,
        *map(SendStanding, ("dispatched", "failed", "read")),
    ]
    told = [outcome_to_tell(one, other, was_held=True) for one, other in pairwise(way)]

    assert [outcome for outcome in told if outcome] == ["sent", "failed", "sent"]


def test_a_released_send_that_is_judged_again_may_still_be_refused() -> None:
    assert outcome_to_tell(WAITS, SendStanding("refused"), was_held=True) == "refused"
    assert outcome_to_tell(SendStanding("refused"), SendStanding("sent"), was_held=True) == "sent"
