"""Which thresholds a count tells."""

from collections.abc import Sequence
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from workers.rules.alerts import THRESHOLDS, thresholds_to_tell

numbers = st.integers(min_value=0, max_value=2**53 - 1)


@given(numbers, numbers, st.sets(st.sampled_from(THRESHOLDS)))
def test_a_threshold_is_told_if_it_is_reached_and_was_not_told(active: int, limit: int, told: set[int]) -> None:
    found = thresholds_to_tell(active, limit, told)

    assert found == sorted(found)
    assert set(found) == {t for t in (80, 100, 120) if active and Fraction(active) >= Fraction(limit * t, 100)} - told


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 20)), max_size=20))
def test_whatever_counts_and_limits_do_each_is_told_once_as_soon_as_it_is_reached(
    history: Sequence[tuple[int, int]],
) -> None:
    told: list[int] = []
    for step, (active, limit) in enumerate(history, 1):
        told += thresholds_to_tell(active, limit, told)
        reached = {t for a, most in history[:step] for t in THRESHOLDS if a and a * 100 >= most * t}
        assert sorted(told) == sorted(reached)


def test_the_share_is_exact() -> None:
    assert [thresholds_to_tell(n, 10, ()) for n in (7, 8, 9, 10, 11, 12)] == [
        [],
        [80],
        [80],
        [80, 100],
        [80, 100],
        [80, 100, 120],
    ]
    assert thresholds_to_tell(2, 3, ()) == []
    assert thresholds_to_tell(0, 0, ()) == []
    assert thresholds_to_tell(1, 0, ()) == [80, 100, 120]
