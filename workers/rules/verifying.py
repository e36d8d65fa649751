"""Whether the figures of a cycle agree with each other and with the calendar.

Rows of contacts are compared with the messages in SQL (`sluice.verify_contacts`): there may be millions.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from workers.rules.cycles import FIRST_INSTANT, Calendar, Cycle, CycleSettings

NO_ROW = "no row"


class Difference(NamedTuple):
    """Something that counts and does not stand as it should. `what`: `cycle` (its row in mac_cycles), `count` (the sum
    of its shards), `quarter` (of mac_days), `contact` (a row of mac_contacts), `message` (whether it counts) or
    `adjustments`. `cycle_start` None: a message that counts lies in no cycle.
    """

    workspace_id: str
    cycle_start: datetime | None
    what: str
    contact_id: UUID | None
    stands: str
    should_be: str


class Figures(NamedTuple):
    """What is stored of a cycle. `status` None: mac_cycles has no row. `contacts` and `adjustments` are numbers of
    rows, `shards` is the sum of the shards.
    """

    cycle_end: datetime | None
    status: str | None
    closed_at: datetime | None
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


def cycle_differences(workspace_id: str, start: datetime, stored: Figures, expected: Cycle | None) -> list[Difference]:
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
    if stored.status == "open" and stored.closed_at is not None:
        found.append(difference("cycle", f"open, closed at {stored.closed_at.isoformat()}", "open"))
    if stored.status == "closed" and stored.closed_at is None:
        found.append(difference("cycle", "closed at no time", "a time"))
    if stored.shards != stored.contacts:
        found.append(difference("count", stored.shards, stored.contacts))
    if stored.status != "closed" and stored.adjustments:
        found.append(difference("adjustments", stored.adjustments, 0))
    return found
