"""Logs and counts dead letters: each one is counted, many are one log line, and no line shows content."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final

import structlog

from workers.process.metrics.of_workers import DEAD
from workers.records import DeadLetter

_MOST: Final = 5
"""Maximum number of partitions, of offsets of each, and of reasons in one line."""

log = structlog.get_logger()


def log_dead_letters(worker: str, letters: Sequence[DeadLetter]) -> None:
    """Counts and logs dead letters that were just stored. `worker` is the one that read the records."""
    if not letters:
        return
    for topic, count in Counter(letter.source.topic for letter in letters).items():
        DEAD.labels(worker, topic).inc(count)
    log.warning(
        "Some records could not be decoded: they are dead letters. See `sluice dead-letters list`.",
        action="dead_letters",
        worker=worker,
        count=len(letters),
        records="; ".join(_first(_where(letters), "partitions")),
        reasons=_first(dict.fromkeys(letter.error for letter in letters), "reasons"),
    )


def _where(letters: Iterable[DeadLetter]) -> Iterator[str]:
    """`topic[partition] offset 3, 5 to 9`, for each partition."""
    ordered = sorted((letter.source, letter.raw.offset) for letter in letters)
    for source, found in groupby(ordered, key=lambda place: place[0]):
        offsets = [offset for _, offset in found]
        noun = "offset" if len(offsets) == 1 else "offsets"
        yield f"{source.topic}[{source.partition}] {noun} {', '.join(_first(_ranges(offsets), 'ranges'))}"


def _ranges(offsets: Sequence[int]) -> Iterator[str]:
    # Consecutive offsets have the same difference to their index.
    for _, run in groupby(enumerate(offsets), key=lambda pair: pair[1] - pair[0]):
        found = [offset for _, offset in run]
        yield str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"


def _first(texts: Iterable[str], noun: str) -> list[str]:
    given = list(texts)
    rest = len(given) - _MOST
    return given if rest <= 0 else [*given[:_MOST], f"and {rest} more {noun}"]
