"""Block history: a function of the set of block and unblock commands, whatever order they arrived in (contract 3)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class BlockCommand:
    """A block or an unblock of one contact. One that changed nothing is kept: it may act once an older one arrives."""

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


def history(commands: Iterable[BlockCommand]) -> tuple[Interval, ...]:
    """Intervals, oldest first. Equal times: the unblock first, then by command id, so that a set has one history."""
    closed: list[Interval] = []
    current: Interval | None = None
    for command in sorted(commands, key=lambda c: (c.issued_at, not c.unblocks, c.command_id.bytes)):
        if command.unblocks and current is not None:
            closed.append(Interval(current.start, command.issued_at, current.blocked_by))
            current = None
        elif not command.unblocks and current is None:
            current = Interval(command.issued_at, None, command.actor_id)
    return (*closed, current) if current is not None else tuple(closed)


def covering(intervals: Sequence[Interval], at: datetime) -> Interval | None:
    """The interval that holds `at`, or None."""
    for interval in reversed(intervals):
        if interval.start <= at:
            return interval if interval.covers(at) else None
    return None


def blocked_now(intervals: Sequence[Interval]) -> Interval | None:
    """The interval that has not ended, or None."""
    return intervals[-1] if intervals and intervals[-1].end is None else None


def first_change(before: Sequence[Interval], after: Sequence[Interval]) -> datetime | None:
    """The earliest instant from which on the two histories may judge differently; None if they are the same."""
    return min(_edges(before) ^ _edges(after), default=(None,))[0]


def _edges(intervals: Sequence[Interval]) -> set[tuple[datetime, str]]:
    starts = {(i.start, "start") for i in intervals}
    return starts | {(i.end, "end") for i in intervals if i.end is not None}


@dataclass(frozen=True, slots=True)
class BlockChange:
    """What one command did to a contact's history."""

    workspace_id: str
    contact_id: UUID
    command_id: UUID
    issued_at: datetime
    before: tuple[Interval, ...]
    after: tuple[Interval, ...]
