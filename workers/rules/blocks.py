"""Block history: a function of the set of block and unblock commands, in any order of arrival (contract 3)."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID


@dataclass(frozen=True, slots=True)
class BlockCommand:
    """A block or an unblock of one contact. One that changed nothing is kept: it may matter once an older one
    arrives.
    """

    issued_at: datetime
    unblocks: bool
    command_id: UUID
    actor_id: str


@dataclass(frozen=True, slots=True)
class Interval:
    """[start, end) in which a contact is blocked; `end` is None while it still is."""

    start: datetime
    end: datetime | None
    blocked_by: str = ""

    def covers(self, at: datetime) -> bool:
        return self.start <= at and (self.end is None or at < self.end)


def order_key(command: BlockCommand) -> tuple[datetime, bool, bytes]:
    """The sort key of a command: by time; at equal times the unblock first, then by command id."""
    return command.issued_at, not command.unblocks, command.command_id.bytes


def history(commands: Iterable[BlockCommand]) -> tuple[Interval, ...]:
    """The intervals that follow from a set of commands, oldest first."""
    closed: list[Interval] = []
    current: Interval | None = None
    for command in sorted(commands, key=order_key):
        if command.unblocks and current is not None:
            closed.append(Interval(current.start, command.issued_at, current.blocked_by))
            current = None
        elif not command.unblocks and current is None:
            current = Interval(command.issued_at, None, command.actor_id)
    return (*closed, current) if current is not None else tuple(closed)


def insert(known: list[BlockCommand], command: BlockCommand) -> bool:
    """Inserts a command into an ordered list. Returns whether the history changes with it.

    Only its next neighbours matter: whether a contact is blocked depends on the last command alone.
    """
    position = bisect_left(known, order_key(command), key=order_key)
    before = known[position - 1] if position > 0 else None
    after = known[position] if position < len(known) else None
    known.insert(position, command)
    if (before is None or before.unblocks) == command.unblocks:
        return False
    # Of two blocks at one time the first by id names the actor; there is no other difference.
    return after is None or (after.unblocks, after.issued_at) != (command.unblocks, command.issued_at)


KEPT: Final = 16
"""Number of the newest intervals that a contact's row holds."""


def kept_history(
    row: Sequence[Interval], since: datetime | None, before: Sequence[Interval], after: Sequence[Interval]
) -> tuple[tuple[Interval, ...], datetime | None]:
    """The intervals to keep in a contact's row after a change, and from when on they are complete; None: always.

    `row` holds all intervals that end after `since`. `before` and `after` are those around the change.
    """
    gone = {(i.start, i.end) for i in before} - {(i.start, i.end) for i in after}
    merged = {i.start: i for i in row if (i.start, i.end) not in gone}
    merged |= {i.start: i for i in after if since is None or i.end is None or i.end > since}
    intervals = tuple(merged[start] for start in sorted(merged))
    if len(intervals) > KEPT:
        since = intervals[-KEPT - 1].end
    return intervals[-KEPT:], since


def covering(intervals: Sequence[Interval], at: datetime) -> Interval | None:
    """The interval that contains `at`, or None."""
    for interval in reversed(intervals):
        if interval.start <= at:
            return interval if interval.covers(at) else None
    return None


def blocked_now(intervals: Sequence[Interval]) -> Interval | None:
    """The interval that has not ended, or None."""
    return intervals[-1] if intervals and intervals[-1].end is None else None


def first_change(before: Sequence[Interval], after: Sequence[Interval]) -> datetime | None:
    """The earliest instant from which on the two histories may differ; None if they are the same."""
    return min(_edges(before) ^ _edges(after), default=(None,))[0]


def last_change(before: Sequence[Interval], after: Sequence[Interval]) -> datetime | None:
    """The instant from which on two different histories have the same intervals again; None: never."""
    changed = {(i.start, i.end) for i in before} ^ {(i.start, i.end) for i in after}
    ends = [end for _, end in changed]
    return max((end for end in ends if end is not None), default=None) if None not in ends else None


def _edges(intervals: Sequence[Interval]) -> set[tuple[datetime, str]]:
    starts = {(i.start, "start") for i in intervals}
    return starts | {(i.end, "end") for i in intervals if i.end is not None}


@dataclass(frozen=True, slots=True)
class BlockChange:
    """The effect of one command on a contact's history: the intervals around it, before and after."""

    workspace_id: str
    contact_id: UUID
    command_id: UUID
    issued_at: datetime
    before: tuple[Interval, ...]
    after: tuple[Interval, ...]

    def undone(self, intervals: Sequence[Interval]) -> tuple[Interval, ...]:
        """The history `intervals` without the effect of this command."""
        gone = {(i.start, i.end) for i in self.after} - {(i.start, i.end) for i in self.before}
        merged = {i.start: i for i in intervals if (i.start, i.end) not in gone} | {i.start: i for i in self.before}
        return tuple(merged[start] for start in sorted(merged))
