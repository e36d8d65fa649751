"""When an address ceases to be its contact's: contract 2, remove_channel."""

from datetime import datetime, timedelta
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from tests.workers.records import DAY, at
from workers.rules.blocks import Interval, covering
from workers.rules.ownership import end_of, has_at


class Had(NamedTuple):
    began_at: datetime | None
    ended_at: datetime | None


EDGES = st.lists(st.integers(0, 50), unique=True, max_size=8).map(sorted)


@given(EDGES, st.integers(-1, 60))
def test_a_removed_address_ends_at_its_removal_or_with_the_block_that_covers_it(edges: list[int], removed: int) -> None:
    moments = [*map(at, edges), None]
    intervals = [Interval(a, b) for a, b in zip(moments[::2], moments[1::2], strict=False) if a is not None]
    end = end_of(at(removed), intervals)

    covered = covering(intervals, at(removed)) is not None
    assert (end != at(removed)) == covered
    if end is None:
        assert intervals[-1].end is None
    else:
        assert end >= at(removed)
        assert covering(intervals, end) is None or not covered


def test_an_address_is_had_from_its_begin_to_before_its_end() -> None:
    had = Had(at(1), at(2))
    assert [has_at(had, at(minute)) for minute in (0.9, 1, 1.9, 2)] == [False, True, True, False]
    assert has_at(Had(None, None), DAY - timedelta(days=9999))
