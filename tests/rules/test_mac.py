"""When the note about a count may replace a query."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from workers.rules.cycles import Cycle
from workers.rules.mac import counted_already, counted_since

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
MONTHS = tuple(Cycle(BEGIN + timedelta(days=30 * n), BEGIN + timedelta(days=30 * (n + 1))) for n in range(3))


def cycle_of(at: datetime) -> Cycle:
    return next(cycle for cycle in MONTHS if cycle.start <= at < cycle.end)


times = st.integers(min_value=0, max_value=12 * 90 - 1).map(lambda hours: BEGIN + timedelta(hours=2 * hours))


@given(st.lists(times))
def test_who_remembers_proves_what_all_the_messages_prove(messages: Sequence[datetime]) -> None:
    remembered = None
    proofs: dict[Cycle, datetime] = {}
    for at in messages:
        if counted_already(remembered, cycle_of(at), at):
            assert proofs[cycle_of(at)] < at
        else:
            proofs[cycle_of(at)] = min(at, proofs.get(cycle_of(at), at))
            remembered = counted_since(remembered, cycle_of(at), at)

    assert proofs == {cycle: min(at for at in messages if cycle_of(at) == cycle) for cycle in map(cycle_of, messages)}
    assert remembered == (proofs[cycle_of(max(messages))] if messages else None)


def test_a_message_at_the_same_moment_is_proved_as_its_id_may_be_smaller() -> None:
    assert not counted_already(BEGIN, MONTHS[0], BEGIN)
    assert counted_already(BEGIN, MONTHS[0], BEGIN + timedelta(microseconds=1))


def test_what_is_remembered_of_another_cycle_says_nothing() -> None:
    assert not counted_already(MONTHS[0].start, MONTHS[1], MONTHS[1].start)
    assert not counted_already(MONTHS[1].start, MONTHS[0], MONTHS[0].start)
    assert counted_since(MONTHS[1].start, MONTHS[0], MONTHS[0].start) == MONTHS[1].start


def test_the_earliest_of_a_cycle_is_remembered() -> None:
    assert counted_since(BEGIN, MONTHS[0], BEGIN + timedelta(hours=1)) == BEGIN
