"""How many records of a partition one transaction takes. Usually it takes everything that a poll brought. It takes
fewer, down to one record, after a transaction was too much, or after an owner crashed while it applied them. After each
portion that succeeds it takes more again. Pure.

A partition with a pace is applied alone. So other partitions do not wait for it, and their records are not blamed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from workers.records import Partition, Trial
from workers.runtime.decoding import Pace, Part, Position

PORTIONS: Final = 8
"""Number of portions into which a transaction that was too much is divided."""
MOST_ENDED: Final = 4
"""Nobody tries a record again after so many owners crashed while they tried it alone. One more owner crashed before
them: owners write down what they try only after a crash."""
CAREFUL_UNTIL: Final = 2_048
"""Number of records that the next owner applies carefully: about as many as a poll brought the owner that crashed."""
WELL: Final = 8
"""After so many successful portions, a transaction takes as many records as failed last time."""
UNHURRIED_S: Final = 6.0
"""After a portion that took longer, the next one is not larger: twice as many records could be too much again."""


def pace_after_crash(tried: Trial | None) -> Pace:
    """The pace of a partition whose last owner did not release its lease."""
    return Pace(1, CAREFUL_UNTIL, CAREFUL_UNTIL, after_crash=True, tried=tried)


def portion(parts: Sequence[Part], positions: Mapping[Partition, Position]) -> Sequence[Part]:
    """What the next transaction takes of a poll: all partitions without a pace, or one portion of another one."""
    slow = [part for part in parts if positions[part.source].pace is not None]
    if not slow:
        return parts
    others = [part for part in parts if positions[part.source].pace is None]
    return others or [_first(slow[0], positions[slow[0].source].pace)]


def _first(part: Part, pace: Pace | None) -> Part:
    if pace is None or not part.raw:
        return part
    # One of several records crashed an owner: they are tried one by one.
    within = pace.tried is not None and part.raw[0].offset < pace.tried.until
    most = 1 if within else pace.most
    return part.before(part.raw[most].offset) or part if len(part.raw) > most else part


def divide(parts: Sequence[Part], positions: Mapping[Partition, Position]) -> None:
    """Gives the partitions of a transaction that was too much a pace."""
    for part in parts:
        if part.raw:
            position, size = positions[part.source], len(part.raw)
            known = position.pace or Pace(size, size, size)
            most, until = max(1, size // PORTIONS), max(size, known.until)
            position.pace = replace(known, most=most, until=until, failed=size, well=0)


def grown(pace: Pace | None, part: Part, took_s: float) -> Pace | None:
    """The pace after a portion that took so many seconds; None: whole polls."""
    if pace is None or took_s > UNHURRIED_S or (pace.tried is not None and part.end < pace.tried.until):
        return pace
    most = 2 * pace.most
    if most < pace.failed:
        return replace(pace, most=most)
    if pace.well < WELL and not pace.after_crash:
        return replace(pace, well=pace.well + 1)
    return replace(pace, most=most, failed=pace.until, well=0) if most < pace.until else None


def trial(parts: Sequence[Part], positions: Mapping[Partition, Position]) -> tuple[Partition, Trial] | None:
    """What the owner has to write down before it tries these parts; None: nothing."""
    for part in parts:
        pace = positions[part.source].pace
        if pace is not None and pace.after_crash and part.records:
            until = part.raw[-1].offset + 1
            return part.source, Trial(until, _times(pace, until) + 1 if len(part.raw) == 1 else 0)
    return None


def ends_its_owners(wanted: tuple[Partition, Trial] | None) -> bool:
    """Whether too many owners crashed on that record."""
    return wanted is not None and wanted[1].times > MOST_ENDED


def _times(pace: Pace, until: int) -> int:
    return pace.tried.times if pace.tried is not None and pace.tried.until == until else 0
