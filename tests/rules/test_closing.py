"""Contract 5.6 and section 10: when a cycle closes, how far input is applied, who counts as one, what is adjusted."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from workers.rules.closing import (
    GraceChange,
    Joining,
    StoredJoining,
    closing_instant,
    corrections,
    groups,
    in_force,
    joinings,
)

END = datetime(2026, 4, 1, tzinfo=UTC)
A, B, C, D = (UUID(int=n) for n in range(1, 5))


def hours(number: float) -> datetime:
    return END + timedelta(hours=number)


def change(recorded: float, grace: int, issued: float | None = None) -> GraceChange:
    at = recorded if issued is None else issued
    return GraceChange(hours(recorded), hours(at), UUID(int=round(recorded * 10) + 10**6), timedelta(hours=grace))


def test_a_cycle_closes_three_days_after_its_end_unless_the_workspace_says_otherwise() -> None:
    assert closing_instant(END, ()) == hours(72)
    assert closing_instant(END, [change(-10, 5)]) == hours(5)


def test_another_grace_holds_for_cycles_that_it_finds_open_by_the_old_one() -> None:
    assert closing_instant(END, [change(71, 100)]) == hours(100)
    assert closing_instant(END, [change(72, 100)]) == hours(72)
    assert closing_instant(END, [change(10, 5)]) == hours(5)
    assert closing_instant(END, [change(10, 5), change(11, 100)]) == hours(5)


def test_a_grace_holds_for_all_cycles_of_before_the_first_one() -> None:
    assert closing_instant(END, [change(500, 1_000)._replace(cycles_from=None)]) == hours(1_000)
    assert closing_instant(END, [change(500, 1_000)._replace(cycles_from=END)]) == hours(1_000)
    assert closing_instant(END, [change(500, 1_000)._replace(cycles_from=hours(-1))]) == hours(72)


def test_of_two_graces_the_one_issued_later_wins_in_the_order_of_kafka() -> None:
    late_and_old = change(2, 7, issued=-3)
    assert in_force([late_and_old, change(1, 9)]) == [change(1, 9)]
    assert in_force([change(2, 7), change(1, 9)]) == [change(1, 9), change(2, 7)]


def test_a_merge_counts_if_it_was_issued_before_the_instant_and_on_time_if_its_record_was() -> None:
    def stored(merged: float, recorded: float | None, undone: float | None = None) -> StoredJoining:
        undo = None if undone is None else hours(undone)
        return StoredJoining(A, B, hours(merged), None if recorded is None else hours(recorded), undo, undo)

    def counts(*merges: StoredJoining, on_time: bool) -> bool:
        return bool(joinings(merges, hours(72), on_time=on_time))

    assert counts(stored(71, 71), on_time=True)
    assert not counts(stored(72, 72), on_time=False)
    assert counts(stored(71, 72), on_time=False)
    assert not counts(stored(71, 72), on_time=True)
    assert counts(stored(1, None), on_time=True)
    assert not counts(stored(1, 1, undone=2), on_time=True)
    assert counts(stored(1, 1, undone=72), on_time=False)


def test_contacts_that_were_merged_count_as_the_one_that_stays() -> None:
    assert groups([A], []) == {A: [A]}
    assert groups([A], [Joining(B, A), Joining(C, B)]) == {C: [A, B, C]}
    assert groups([D], [Joining(B, A), Joining(A, C)]) == {B: [A, B, C], D: [D]}


members = st.integers(1, 4).map(lambda n: [A, B, C, D][:n])


@given(members.flatmap(lambda m: st.tuples(st.just(m), st.sampled_from(m), st.sets(st.sampled_from(m)))), st.data())
def test_with_its_adjustments_a_group_counts_once_or_not_at_all(
    case: tuple[list[UUID], UUID, set[UUID]], data: st.DataObject
) -> None:
    group, stays, closed = case
    adjusted: dict[UUID, int] = {}
    for _ in range(3):
        active = data.draw(st.booleans())
        for contact, amount in corrections(group, stays, closed, adjusted, active=active).items():
            assert amount
            adjusted[contact] = adjusted.get(contact, 0) + amount
        assert len(closed) + sum(adjusted.values()) == int(active)
        assert all(int(c in closed) + adjusted.get(c, 0) in (0, 1) for c in group)
        assert corrections(group, stays, closed, adjusted, active=active) == {}
