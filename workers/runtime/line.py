"""When to stop the line: so many bad records in a row of a partition's last ones that the producer, or this version,
must be wrong, and going on would turn a whole topic into dead letters. Pure.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from workers.runtime.batch import Source

WINDOW: Final = 400
LIMIT: Final = 200

AcceptedBad = Mapping[Source, int]
"""By partition: bad records before this offset do not count, because a person has seen them."""
NOTHING_ACCEPTED: Final[AcceptedBad] = MappingProxyType({})


def first_halt(bad_before: Sequence[int], bad_now: Sequence[int], accepted_until: int = 0) -> int | None:
    """Offset of the record at which the line stops, or None.

    Both are ascending offsets of bad records, `bad_before` of those already applied. The line stops at the first
    record that makes at least `LIMIT` bad ones among the `WINDOW` that end with it. Those before `accepted_until` do
    not count.
    """
    before = bad_before[bisect_left(bad_before, accepted_until) :]
    bad = [*before, *bad_now[bisect_left(bad_now, accepted_until) :]]
    for index in range(len(before), len(bad)):
        if index + 1 >= LIMIT and bad[index] - bad[index + 1 - LIMIT] < WINDOW:
            return bad[index]
    return None


def remember(bad_before: Sequence[int], bad_now: Sequence[int], next_offset: int) -> tuple[int, ...]:
    """The bad offsets that still count once everything before `next_offset` is applied."""
    bad = [*bad_before, *bad_now]
    return tuple(bad[bisect_left(bad, next_offset - WINDOW) :])


def last_words(source: Source, offset: int) -> str:
    """What an operator is told when the line stops before a record, and how it goes on."""
    topic, partition = source
    return (
        f"The line stops before {topic}[{partition}] offset {offset}: at least {LIMIT} of its last {WINDOW} records "
        f"could not be understood. See `sluice dead-letters list --topic {topic}`. If bad records may be left behind, "
        f"go on with --accept-bad-until {topic}/{partition}/{offset + 1}, or with the offset after the last bad one"
    )
