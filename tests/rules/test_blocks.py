"""Contract 3: block history is a function of the set of commands."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workers.records import uuid_of
from workers.rules import blocks
from workers.rules.blocks import (
    BlockCommand,
    Interval,
    blocked_now,
    covering,
    first_change,
    history,
    insert,
    kept_history,
    last_change,
    order_key,
)

LATE = datetime.max.replace(tzinfo=UTC)
DAY = datetime(2026, 3, 10, tzinfo=UTC)


def at(minute: int) -> datetime:
    return DAY + timedelta(minutes=minute)


def block(minute: int, name: str = "block") -> BlockCommand:
    return BlockCommand(at(minute), unblocks=False, command_id=uuid_of(name), actor_id="ann")


def unblock(minute: int, name: str = "unblock") -> BlockCommand:
    return BlockCommand(at(minute), unblocks=True, command_id=uuid_of(name), actor_id="ann")


commands = st.lists(
    st.builds(
        BlockCommand,
        issued_at=st.integers(0, 8).map(at),
        unblocks=st.booleans(),
        command_id=st.uuids(),
        actor_id=st.just("ann"),
    ),
    max_size=12,
)


def blocked_at(given_commands: list[BlockCommand], instant: datetime) -> bool:
    """By replaying the sorted commands up to an instant: nothing of the code under test."""
    state = False
    for command in sorted(given_commands, key=lambda c: (c.issued_at, 0 if c.unblocks else 1, c.command_id)):
        if command.issued_at <= instant:
            state = not command.unblocks
    return state


@given(commands, st.randoms())
def test_the_order_of_arrival_changes_nothing(some: list[BlockCommand], random: object) -> None:
    shuffled = list(some)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert history(shuffled) == history(some)


@given(commands, st.integers(0, 9))
def test_an_instant_is_blocked_if_the_last_command_before_it_blocked(some: list[BlockCommand], minute: int) -> None:
    assert (covering(history(some), at(minute)) is not None) == blocked_at(some, at(minute))


@given(commands, commands)
def test_histories_agree_before_their_first_change(some: list[BlockCommand], more: list[BlockCommand]) -> None:
    before, after = history(some), history(some + more)
    change = first_change(before, after)
    for minute in range(10):
        if change is None or at(minute) < change:
            old, new = covering(before, at(minute)), covering(after, at(minute))
            assert (old and old.start) == (new and new.start)


@given(commands)
def test_a_command_moves_a_history_where_it_differs_from_the_one_before_it(some: list[BlockCommand]) -> None:
    known: list[BlockCommand] = []
    for number, command in enumerate(some):
        moved = first_change(history(some[:number]), history(some[: number + 1])) is not None
        assert insert(known, command) == moved
        assert known == sorted(some[: number + 1], key=order_key)


@given(commands, st.integers(1, 3))
def test_a_row_holds_the_newest_intervals_whatever_changes(some: list[BlockCommand], most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "KEPT", most)
        row: tuple[Interval, ...] = ()
        since = None
        for number in range(len(some)):
            before, after = history(some[:number]), history(some[: number + 1])
            row, since = kept_history(row, since, before, after)
            assert [(i.start, i.end) for i in row] == [(i.start, i.end) for i in after[-most:]]
            assert (since is None) == (len(after) <= most)
            left_out = after[:-most]
            assert since is None or (left_out[-1].end or LATE) <= since <= row[0].start
            assert blocked_now(row) == blocked_now(after)


@given(commands, commands)
def test_histories_agree_after_their_last_change(some: list[BlockCommand], more: list[BlockCommand]) -> None:
    before, after = history(some), history(some + more)
    change = last_change(before, after)
    for minute in range(10):
        if first_change(before, after) is not None and change is not None and at(minute) >= change:
            old, new = covering(before, at(minute)), covering(after, at(minute))
            assert (old and (old.start, old.end)) == (new and (new.start, new.end))


def test_at_one_instant_the_unblock_comes_first() -> None:
    assert history([block(5), unblock(5)]) == (Interval(at(5), None, "ann"),)
    assert history([block(1), unblock(5), block(5, "again")]) == (
        Interval(at(1), at(5), "ann"),
        Interval(at(5), None, "ann"),
    )


def test_a_block_that_changed_nothing_acts_once_an_older_unblock_arrives() -> None:
    assert history([block(1), block(5, "again")]) == (Interval(at(1), None, "ann"),)
    assert history([block(1), block(5, "again"), unblock(3)]) == (
        Interval(at(1), at(3), "ann"),
        Interval(at(5), None, "ann"),
    )


def test_only_an_open_interval_blocks_now() -> None:
    assert blocked_now(history([block(1), unblock(5)])) is None
    assert blocked_now(history([block(1)])) == Interval(at(1), None, "ann")


def test_two_intervals_that_touch_differ_from_one() -> None:
    one = history([block(1), unblock(9)])
    two = history([block(1), unblock(9), unblock(5, "late"), block(5, "again")])
    assert first_change(one, two) == at(5)
