"""Contacts that were merged: what closing and merging make of them is no difference, and anything else is one."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from workers.rules.closing import StoredJoining, corrections, groups, joinings
from workers.rules.mac import Evidence
from workers.rules.verifying import HomeInCycle, families, family_differences

START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
CLOSES: Final = END + timedelta(days=3)
PEOPLE: Final = [UUID(int=n) for n in range(1, 5)]
PROOFS: Final = {who: Evidence(START + timedelta(days=who.int), UUID(int=100 + who.int)) for who in PEOPLE}

times = st.sampled_from([END, CLOSES - timedelta(seconds=1), CLOSES, CLOSES + timedelta(days=1)])


@st.composite
def merged(draw: st.DrawFn) -> list[StoredJoining]:
    """One after the other into the first one; some are undone later."""
    found, at = [], END
    for loser in PEOPLE[1 : draw(st.integers(2, 4))]:
        at = max(at, draw(times))
        undone = draw(st.none() | times)
        found.append(StoredJoining(PEOPLE[0], loser, at, at, None if undone is None else max(at, undone), undone))
    return found


def homes(
    status: str, active: set[UUID], rows: dict[UUID, Evidence], adjusted: dict[UUID, int]
) -> Sequence[HomeInCycle]:
    return [
        HomeInCycle(
            START, status, CLOSES, who, PROOFS[who] if who in active else None, home_lost=False,
            proof=rows.get(who), adjusted=adjusted.get(who, 0), not_final=False,
        )
        for who in PEOPLE
    ]  # fmt: skip


sets = st.sets(st.sampled_from(PEOPLE))


@given(merged(), sets, sets, st.sampled_from(PEOPLE), st.sampled_from([-1, 1]))
def test_a_closed_cycle_with_its_corrections(
    merges: list[StoredJoining], active: set[UUID], closed: set[UUID], who: UUID, more: int
) -> None:
    counted = groups(PEOPLE, joinings(merges, CLOSES, on_time=False))
    adjusted: dict[UUID, int] = {}
    for stays, members in counted.items():
        adjusted |= corrections(members, stays, closed, {}, active=not active.isdisjoint(members))
    rows = {one: PROOFS[one] for one in closed}
    assert family_differences("acme", merges, homes("closed", active, rows, adjusted)) == []
    adjusted[who] = adjusted.get(who, 0) + more
    assert family_differences("acme", merges, homes("closed", active, rows, adjusted)) != []
    assert families(merges) == [PEOPLE[: len(merges) + 1]]


@given(merged(), sets, st.sampled_from(PEOPLE))
def test_an_open_cycle(merges: list[StoredJoining], active: set[UUID], who: UUID) -> None:
    rows = {
        stays: min(PROOFS[member] for member in members if member in active)
        for stays, members in groups(PEOPLE, joinings(merges, CLOSES, on_time=False)).items()
        if not active.isdisjoint(members)
    }
    assert family_differences("acme", merges, homes("open", active, rows, {})) == []
    if rows.pop(who, None) is None:
        rows[who] = PROOFS[who]
    assert [d.contact_id for d in family_differences("acme", merges, homes("open", active, rows, {}))] == [who]
