"""When the worker halts: too many of a partition's last records are bad. Pure.

Then the producer or this version must be wrong, and continuing would turn a whole topic into dead letters.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from workers.records import Partition

WINDOW: Final = 400
BAD_RECORD_LIMIT: Final = 200

OPTION: Final = "--accept-bad-until"
LIMIT_ERRORS: Final = ("too_many_channels", "too_large", "too_costly")
"""Prefixes of errors of records that can be read but ask for too much. Neither the producer nor this version is wrong,
so these errors do not count for the limit.
"""

AcceptedBad = Mapping[Partition, int]
"""By partition: bad records before this offset do not count, because an operator has accepted them."""
NOTHING_ACCEPTED: Final[AcceptedBad] = MappingProxyType({})


def is_bad(error: str) -> bool:
    """Whether a dead letter with this error counts for the limit."""
    return not error.startswith(LIMIT_ERRORS)


def first_halt(bad_before: Sequence[int], bad_now: Sequence[int], accepted_until: int = 0) -> int | None:
    """Offset of the record at which the worker halts, or None.

    Both arguments are ascending offsets of bad records; those in `bad_before` are already applied. The worker halts at
    the first record that makes at least `LIMIT` bad ones among the `WINDOW` records that end with it. Offsets before
    `accepted_until` do not count.
    """
    before = bad_before[bisect_left(bad_before, accepted_until) :]
    bad = [*before, *bad_now[bisect_left(bad_now, accepted_until) :]]
    for index in range(len(before), len(bad)):
        if index + 1 >= BAD_RECORD_LIMIT and bad[index] - bad[index + 1 - BAD_RECORD_LIMIT] < WINDOW:
            return bad[index]
    return None


def remember(bad_before: Sequence[int], bad_now: Sequence[int], next_offset: int) -> tuple[int, ...]:
    """The bad offsets that still count after everything before `next_offset` is applied."""
    bad = [*bad_before, *bad_now]
    return tuple(bad[bisect_left(bad, next_offset - WINDOW) :])


def halt_message(source: Partition, offset: int) -> str:
    """What the log says when the worker halts before a record, and how to continue."""
    topic, partition = source
    return (
        f"The worker halts before {topic}[{partition}] offset {offset}: at least {BAD_RECORD_LIMIT} of its last "
        f"{WINDOW} records are bad. See `sluice dead-letters list --topic {topic}`. If bad records may become dead "
        f"letters, continue with {OPTION} {topic}/{partition}/{offset + 1}, or with the offset after the last bad one"
    )
