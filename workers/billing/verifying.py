"""Counts again, and compares what counts: the rows of contacts with the messages, the counts with the rows.

Done in parts, each with its own range of contacts: one part is one statement, so what workers commit meanwhile makes no
difference.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from workers.errors import NotFound
from workers.rules.closing import StoredJoining
from workers.rules.cycles import FIRST_INSTANT, Cycle
from workers.rules.verifying import (
    LAST_INSTANT,
    Difference,
    HomeInCycle,
    calendar_in_effect,
    cycle_differences,
    expected_cycles,
    families,
    family_differences,
)
from workers.store import verifying
from workers.store.connection import Connection

FIRST_CONTACT: Final = UUID(int=0)
_LAST_CONTACT: Final = UUID(int=2**128 - 1)
_AHEAD: Final = timedelta(minutes=5)
"""A message may be that much later than its record, and the record than now."""


class Scope(NamedTuple):
    """What to verify of a workspace. `cycles` should exist, `starts` are all that are expected or stored; `bounds` are
    the cycles whose contacts are compared, one after the other, and the end of the last one.
    """

    workspace_id: str
    cycles: dict[datetime, Cycle]
    starts: Sequence[datetime]
    bounds: Sequence[datetime]
    not_final: str | None
    comparable: bool


async def scope(tx: Connection, workspace_id: str, cycle: datetime | None, now: datetime) -> Scope:
    """Raises NotFound if there is no such workspace or cycle."""
    state = await verifying.workspace(tx, workspace_id)
    if state is None:
        raise NotFound(f"there is no workspace {workspace_id!r}")
    stored = await verifying.starts(tx, workspace_id)
    calendar = calendar_in_effect(await verifying.dividing_settings(tx, workspace_id))
    expected = {c.start: c for c in expected_cycles(calendar, state.first_message_at, stored, now + _AHEAD)}
    # The billing worker inserts the rows of months that began since; nothing is lost until it does.
    required = [start for start in expected if stored and start < stored[-1]] if state.has_cycles else []
    starts = sorted({*stored, *required})
    if cycle is not None:
        if cycle not in starts:
            raise NotFound(f"workspace {workspace_id!r} has no cycle that begins at {cycle.isoformat()}")
        starts = [cycle]
    not_final = None
    if state.counted_again:
        not_final = "the workspace is being counted again"
    elif state.contacts_again:
        not_final = f"contacts that are being counted again: {state.contacts_again}"
    elif state.late_facts:
        not_final = f"late facts that are not adjusted yet: {state.late_facts}"
    elif expected and (not state.has_cycles or stored[-1:] < list(expected)[-1:]):
        not_final = "cycles that have no row yet"
    bounds = _bounds(expected, cycle)
    return Scope(workspace_id, expected, starts, bounds, not_final, not state.counted_again)


def _bounds(expected: dict[datetime, Cycle], cycle: datetime | None) -> list[datetime]:
    """Where the compared cycles begin, and where the last one ends. Of all of them, what comes before and after is
    compared as well: no message there counts.
    """
    if cycle is not None:
        return [cycle, expected[cycle].end] if cycle in expected else []
    begun = list(expected)
    return [FIRST_INSTANT, *begun, *(expected[start].end for start in begun[-1:]), LAST_INSTANT]


async def verify_cycle(tx: Connection, scope: Scope, start: datetime, most: int) -> list[Difference]:
    """The differences between a cycle's figures, at most about `most`."""
    stored = await verifying.figures(tx, scope.workspace_id, start)
    found = await verifying.quarters(tx, scope.workspace_id, start, most)
    expected = scope.cycles.get(start)
    if expected is None and not scope.comparable:
        return found  # an old one that the recount has not removed yet
    return [*cycle_differences(scope.workspace_id, start, stored, expected), *found]


async def verify_contacts(
    tx: Connection, scope: Scope, first: UUID, at_once: int, most: int
) -> tuple[list[Difference], UUID | None]:
    """The differences of the next contacts, about `at_once` and from `first` on, at most about `most`; and where to go
    on.
    """
    if not scope.comparable or not scope.bounds:
        return [], None
    last = await verifying.until(tx, scope.workspace_id, first, scope.bounds[:-1], at_once)
    found = await verifying.contacts(tx, scope.workspace_id, scope.bounds, first, last, most)
    return found, UUID(int=last.int + 1) if last < _LAST_CONTACT else None


async def verify_families(
    tx: Connection, scope: Scope, after: int, at_once: int
) -> tuple[list[Difference], int | None]:
    """The differences of the next contacts that were ever merged, about `at_once` and after so many families; and
    after how many to go on.
    """
    if not scope.comparable or not scope.bounds:
        return [], None
    merges = await verifying.merges(tx, scope.workspace_id)
    while True:
        some: list[UUID] = []
        number = after
        for family in families(merges)[after:]:
            if some and len(some) + len(family) > at_once:
                break
            some += family
            number += 1
        if not some:
            return [], None
        found = await _family_differences(tx, scope, merges, some)
        # One may have been merged meanwhile, if this is no snapshot.
        again = await verifying.merges(tx, scope.workspace_id) if found else merges
        if again == merges:
            return found, number
        merges = again


async def _family_differences(
    tx: Connection, scope: Scope, merges: Sequence[StoredJoining], contacts: Sequence[UUID]
) -> list[Difference]:
    family_of: dict[UUID, int] = {}
    of_family: dict[int, list[StoredJoining]] = defaultdict(list)
    for number, family in enumerate(families(m for m in merges if m.survivor_id in set(contacts))):
        family_of.update(dict.fromkeys(family, number))
    for merge in merges:
        if merge.survivor_id in family_of:
            of_family[family_of[merge.survivor_id]].append(merge)
    by_cycle: dict[tuple[datetime | None, int], list[HomeInCycle]] = defaultdict(list)
    for home in await verifying.homes(tx, scope.workspace_id, scope.bounds, contacts):
        by_cycle[home.cycle_start, family_of[home.contact_id]].append(home)
    return [
        difference
        for (_, number), homes in by_cycle.items()
        for difference in family_differences(scope.workspace_id, of_family[number], homes)
    ]
