"""Lag and rates of input partitions, from what was applied at two moments and what Kafka holds."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

Place = tuple[str, int]
"""Topic, without prefix, and partition."""


class Applied(NamedTuple):
    """The next offset to apply of each partition (None: nothing is applied) at a moment of the database's clock."""

    at: datetime
    next_offsets: Mapping[Place, int | None]


def records(begin: int, end: int, next_offset: int | None) -> int:
    """How many offsets of a partition that holds `begin` to `end` are not applied."""
    return max(0, end - max(begin, begin if next_offset is None else next_offset))


def seconds(lag: int, oldest_ms: int | None, now: datetime) -> float | None:
    """For how long the oldest record that is not applied waits, by its Kafka timestamp; None if that is not known."""
    if lag == 0:
        return 0.0
    if oldest_ms is None:
        return None
    return round(max(0.0, now.timestamp() - oldest_ms / 1000), 1)


def rate(before: Applied, after: Applied, place: Place) -> float | None:
    """Offsets applied for each second between two moments; None if that is not known, or the partition was moved."""
    passed = (after.at - before.at) / timedelta(seconds=1)
    first, last = before.next_offsets.get(place), after.next_offsets.get(place)
    if passed <= 0 or last is None:
        return None
    if first is None:
        return None
    return round((last - first) / passed, 1) if last >= first else None
