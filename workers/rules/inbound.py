"""The verdict on a message: a function of its event time, its contact's block history and its cycle's settings.

Nothing here depends on the time of processing. So judging again after a late block gives the verdict of a block in
time.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct

from workers.rules.blocks import Interval, covering
from workers.rules.cycles import Calendar, Cycle
from workers.rules.mac import is_counted

Rule = Literal["next_cycle", "immediate"]

# A message that left cannot be dropped; an echo to a blocked contact is stored as bypassing the block.
OUTBOUND_KINDS = frozenset({"echo", "send", "broadcast"})


class Facts(Struct, frozen=True, gc=False):
    """What the verdict on one message depends on, besides the history and the calendar.

    `erased`: its content is gone, so it cannot be accepted any more. `released`: a user released it.
    """

    kind: str
    channel_id: str
    event_time: datetime
    released: bool = False
    erased: bool = False


class Accepted(Struct, frozen=True, gc=False):
    """Visible. `block_start` is set if a block covers it: echoes and released messages."""

    counted: bool
    cycle: Cycle
    block_start: datetime | None = None


class Dropped(Struct, frozen=True, gc=False):
    """Visible only in the drop ledger. `rule` is what decided whether it counts; None: it counts as if accepted."""

    reason: Literal["contact_blocked", "contact_deleted"]
    counted: bool
    cycle: Cycle
    rule: Rule | None
    block_start: datetime | None


MessageVerdict = Accepted | Dropped


def judge(facts: Facts, intervals: Sequence[Interval], calendar: Calendar) -> MessageVerdict:
    """The verdict that follows from everything known now."""
    interval = covering(intervals, facts.event_time) if intervals else None
    block_start = interval.start if interval else None
    outbound = facts.kind in OUTBOUND_KINDS
    dropped = not outbound and not facts.released and (interval is not None or facts.erased)
    cycle, settings = calendar.at(facts.event_time)
    counted = is_counted(
        cycle=cycle,
        settings=settings,
        kind=facts.kind,
        channel_id=facts.channel_id,
        dropped=dropped,
        block_start=block_start,
    )
    if dropped:
        return Dropped("contact_blocked", counted, cycle, settings.mac_block_effect, block_start)
    return Accepted(counted, cycle, block_start)


def of_deleted(facts: Facts, calendar: Calendar) -> Dropped:
    """The verdict on a message that is older than the deletion of its contact and comes after it."""
    cycle, settings = calendar.at(facts.event_time)
    counted = is_counted(
        cycle=cycle,
        settings=settings,
        kind=facts.kind,
        channel_id=facts.channel_id,
        dropped=False,
        block_start=None,
    )
    return Dropped("contact_deleted", counted, cycle, None, None)
