"""When a worker halts: 200 bad records among the last 400 of a partition, wherever polls begin and end."""

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from workers.runtime.bad_record_limit import BAD_RECORD_LIMIT, WINDOW, first_halt, remember

GAPS = st.lists(st.integers(min_value=1, max_value=4), max_size=450) | st.integers(0, 450).map(lambda n: [2] * n)


def offsets(gaps: list[int]) -> list[int]:
    return list(accumulate(gaps, initial=-1))[1:]


def naive(bad: list[int]) -> int | None:
    return next((at for at in bad if sum(at - WINDOW < b <= at for b in bad) >= BAD_RECORD_LIMIT), None)


@given(GAPS)
def test_it_stops_at_the_first_record_with_200_bad_ones_among_400(gaps: list[int]) -> None:
    assert first_halt([], offsets(gaps)) == naive(offsets(gaps))


@given(GAPS, st.lists(st.integers(0, 450), max_size=5))
def test_where_polls_begin_and_end_makes_no_difference(gaps: list[int], cuts: list[int]) -> None:
    bad = offsets(gaps)
    halted: int | None = None
    known: tuple[int, ...] = ()
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(bad)], strict=True):
        now = bad[start:end]
        halted = first_halt(known, now)
        if halted is not None:
            break
        known = remember(known, now, now[-1] + 1) if now else known
    assert halted == naive(bad)


def test_every_other_record_bad_stops_it_and_a_little_fewer_do_not() -> None:
    assert first_halt([], range(0, 400, 2)) == 398
    assert first_halt([], [*range(0, 398, 2), 400]) is None
    assert first_halt([], range(0, 10_000, 3)) is None


@given(GAPS, st.integers(0, 900), st.integers(0, 450))
def test_what_was_accepted_does_not_count(gaps: list[int], accepted: int, cut: int) -> None:
    bad = offsets(gaps)
    counted = [b for b in bad if b >= accepted]
    known = sum(b >= accepted for b in bad[:cut])
    assert first_halt([], bad, accepted) == naive(counted)
    if naive(counted[:known]) is None:
        assert first_halt(bad[:cut], bad[cut:], accepted) == naive(counted)


@given(GAPS, st.integers(0, 50))
def test_no_more_is_remembered_than_still_counts(gaps: list[int], good: int) -> None:
    bad = offsets(gaps)
    end = (bad[-1] if bad else 0) + 1 + good
    known = remember([], bad, end)
    assert list(known) == [b for b in bad if b >= end - WINDOW]
    assert first_halt(known, [end]) == (None if naive([*bad, end]) != end else end) or naive(bad) is not None
