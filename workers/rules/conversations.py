"""Is a conversation open? A function of when it was opened and closed, not of when that was learned (contract 3.5)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from workers.rules.blocks import Interval, covering

Status = Literal["open", "closed", "blocked"]


def opens(kind: str, event_time: datetime, closed_at: datetime | None) -> bool:
    """Only a person's message opens, and only one later than the closing; reactions, echoes and sends open nothing."""
    return kind == "message" and (closed_at is None or event_time > closed_at)


def last_closing(closed_at: datetime | None, intervals: Sequence[Interval]) -> datetime | None:
    """The latest closing: by a person, or by a block, which closes before it blocks."""
    if not intervals:
        return closed_at
    last_block = intervals[-1].start
    return last_block if closed_at is None else max(closed_at, last_block)


def opened_last(opened_at: datetime | None, intervals: Sequence[Interval], witness: datetime | None) -> datetime | None:
    """The opening that holds by the history as it is now: the newest accepted message's, or the one known before.

    What lies in a block opened nothing, as it turns out.
    """
    if opened_at is not None and covering(intervals, opened_at) is not None:
        opened_at = None
    return max((at for at in (opened_at, witness) if at is not None), default=None)


def status(*, blocked: bool, opened_at: datetime | None, closed_at: datetime | None) -> Status:
    """`closed_at` is the last closing of either kind."""
    if blocked:
        return "blocked"
    if opened_at is not None and (closed_at is None or opened_at > closed_at):
        return "open"
    return "closed"
