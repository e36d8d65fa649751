"""Offsets are committed up to the first record that is not done, whatever the order in which records get done."""

from hypothesis import given
from hypothesis import strategies as st

from connectors.sender.windows import Window


def test_what_is_not_done_keeps_what_is_behind_it() -> None:
    window = Window()
    for offset in (3, 4, 7):
        window.add(offset, 10)
    window.done(4)
    window.done(7)
    assert (window.to_commit(), window.open, window.span, window.bytes) == (None, 1, 3, 10)

    window.done(3)
    assert (window.to_commit(), window.to_commit()) == (8, 8)  # the first commit failed
    window.committed(8)
    assert window.to_commit() is None
    assert (window.open, window.span, window.bytes) == (0, 0, 0)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_in_any_order_the_next_offset_is_that_of_the_first_open_record(steps: list[int], random: object) -> None:
    window, offsets = Window(), [sum(steps[: number + 1]) for number in range(len(steps))]
    for offset in offsets:
        window.add(offset, offset)
    order = list(offsets)
    random.shuffle(order)  # type: ignore[attr-defined]
    committed = 0
    for number, offset in enumerate(order):
        window.done(offset)
        committed = window.to_commit() or committed
        left = order[number + 1 :]
        before = [done for done in offsets if done < min(left, default=offsets[-1] + 1)]
        assert committed == (before[-1] + 1 if before else 0)
        assert (window.open, window.bytes) == (len(left), sum(left))
