"""Whether the figures of a cycle agree with each other and with the calendar.

Rows of contacts are compared with the messages in SQL (`sluice.verify_contacts`): there may be millions.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from workers.rules.closing import Joining, StoredJoining, groups, joinings
from workers.rules.cycles import FIRST_INSTANT, Calendar, Cycle, CycleSettings
from workers.rules.mac import Evidence

LAST_INSTANT: Final = datetime.max.replace(tzinfo=UTC)
NO_ROW: Final = "no row"


class Difference(NamedTuple):
    """Something that counts and does not stand as it should. `cycle_start` None: it lies in no cycle. `what`:

    - `cycle`: the row in mac_cycles; `closed count`: the figure in it
    - `count`: the sum of the shards; `quarter`: a quarter of an hour of mac_days
    - `contact`: a row in mac_contacts, of a closed cycle with the adjustments; `adjustments`: of an open cycle
    - `message`: whether it counts
    """

    workspace_id: str
    cycle_start: datetime | None
    what: str
    contact_id: UUID | None
    stands: str
    should_be: str


class CycleFigures(NamedTuple):
    """What is stored of a cycle. `status` None: mac_cycles has no row. `contacts` and `adjustments` are numbers of
    rows, `shards` is the sum of the shards, `closed_contacts` the figure that was closed.
    """

    cycle_end: datetime | None
    status: str | None
    closed_at: datetime | None
    closed_contacts: int | None
    contacts: int
    shards: int
    adjustments: int


def calendar_in_effect(values: Iterable[tuple[datetime, str, Any]]) -> Calendar:
    """A workspace's cycles, from the values of `time_zone` and `anchor_day` and the times from which they hold."""
    by_time: dict[datetime, dict[str, Any]] = {}
    for holds_from, name, value in values:
        by_time.setdefault(holds_from, {})[name] = value
    starts, steps = [FIRST_INSTANT], [CycleSettings()]
    for number, (at, changed) in enumerate(sorted(by_time.items(), key=lambda item: item[0])):
        step = replace(steps[-1], **changed)
        if number == 0:
            # The first value holds from the beginning, which is stored as 1970.
            steps[0] = step
        else:
            starts.append(at)
            steps.append(step)
    return Calendar(starts, steps)


def expected_cycles(
    calendar: Calendar, first: datetime | None, known: Sequence[datetime], now: datetime
) -> list[Cycle]:
    """The cycles of a workspace from its first message on to now, or to the last one that is stored. None: it has no
    message, and no cycle.
    """
    if first is None:
        return []
    return [cycle for cycle, _ in calendar.between(first, max([now, *known]))]


def cycle_differences(
    workspace_id: str, start: datetime, stored: CycleFigures, expected: Cycle | None
) -> list[Difference]:
    """The differences of a cycle's own figures. `expected` None: no cycle begins then."""

    def difference(what: str, stands: object, should_be: object) -> Difference:
        return Difference(workspace_id, start, what, None, str(stands), str(should_be))

    if expected is None:
        return [difference("cycle", "a cycle", "no cycle begins then")]
    found: list[Difference] = []
    if stored.status is None:
        found.append(difference("cycle", NO_ROW, f"until {expected.end.isoformat()}"))
    elif stored.cycle_end != expected.end:
        until = "" if stored.cycle_end is None else stored.cycle_end.isoformat()
        found.append(difference("cycle", f"until {until}", f"until {expected.end.isoformat()}"))
    closing = stored.closed_at, stored.closed_contacts
    if stored.status == "open" and closing != (None, None):
        found.append(difference("cycle", "open, with a time or a figure of its closing", "open or closed"))
    if stored.status == "closed" and None in closing:
        found.append(difference("cycle", "closed, without a time or a figure", "open or closed"))
    if stored.closed_contacts is not None and stored.closed_contacts != stored.contacts:
        found.append(difference("closed count", stored.closed_contacts, stored.contacts))
    if stored.shards != stored.contacts:
        found.append(difference("count", stored.shards, stored.contacts))
    if stored.status != "closed" and stored.adjustments:
        found.append(difference("adjustments", stored.adjustments, 0))
    return found


class HomeInCycle(NamedTuple):
    """What a contact that was merged comes to in a cycle, for itself. `cycle_start` None: in no cycle; `status` None:
    the cycle has no row.

    `earliest`: its earliest message that counts, of addresses that were its own first. `proof`: its row. `adjusted`:
    the sum of its adjustments. `home_lost`: it was deleted, and what was its own is not known. `not_final`: rows and
    messages may differ for now.
    """

    cycle_start: datetime | None
    status: str | None
    closes_at: datetime | None
    contact_id: UUID
    earliest: Evidence | None
    home_lost: bool
    proof: Evidence | None
    adjusted: int
    not_final: bool


def families(merges: Iterable[StoredJoining]) -> list[list[UUID]]:
    """Contacts that were ever merged with each other, also over others, by their smallest id."""
    joined = [Joining(m.survivor_id, m.loser_id) for m in merges]
    return sorted(groups((), joined).values())


def family_differences(
    workspace_id: str, merges: Sequence[StoredJoining], homes: Sequence[HomeInCycle]
) -> list[Difference]:
    """The differences of one family in one cycle. `merges` are all of its merges; only those that were issued before
    the cycle closes count there. None as long as it is not known when it closes.
    """
    first = homes[0]
    if first.closes_at is None and first.status is not None:
        return []
    by_contact = {home.contact_id: home for home in homes}
    joined = joinings(merges, first.closes_at or LAST_INSTANT, on_time=False)
    counted = groups(by_contact, joined)
    if (
        any(home.home_lost for home in homes)
        and len([1 for m in counted.values() if not by_contact.keys().isdisjoint(m)]) > 1
    ):
        return []  # it cannot be told apart any more
    found: list[Difference] = []
    for stays, members in counted.items():
        own = [by_contact[member] for member in members if member in by_contact]
        if not any(home.not_final for home in own):
            compare = _closed_differences if first.status == "closed" else _open_differences
            found += [Difference(workspace_id, first.cycle_start, "contact", *d) for d in compare(stays, own)]
    return found


def _closed_differences(stays: UUID, own: Sequence[HomeInCycle]) -> Iterator[tuple[UUID, str, str]]:
    """A group counts once, with its adjustments, and nobody in it counts less than nothing or more than once."""
    active = int(any(home.earliest is not None for home in own))
    total = sum((home.proof is not None) + home.adjusted for home in own)
    rows = sum(home.proof is not None for home in own)
    if total != active:
        yield stays, f"{rows}, adjusted by {total - rows}", str(active)
    for home in own:
        if total == active and not 0 <= (home.proof is not None) + home.adjusted <= 1:
            yield home.contact_id, f"{int(home.proof is not None)}, adjusted by {home.adjusted}", "0 or 1"


def _open_differences(stays: UUID, own: Sequence[HomeInCycle]) -> Iterator[tuple[UUID, str, str]]:
    """A group has one row, of the one that stays, with the earliest message of all."""
    earliest = min((home.earliest for home in own if home.earliest is not None), default=None)
    rows = {stays: None, **{home.contact_id: home.proof for home in own}}
    for contact_id, proof in rows.items():
        should_be = earliest if contact_id == stays else None
        if proof != should_be:
            yield contact_id, _named(proof), _named(should_be)


def _named(proof: Evidence | None) -> str:
    return NO_ROW if proof is None else f"{proof.message_id} of {proof.at.isoformat()}"
