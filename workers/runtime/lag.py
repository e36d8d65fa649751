"""How far the partitions that this process holds are behind: in records, and in seconds by Kafka's timestamps.

The age of the oldest waiting record is computed when a scrape asks for it: so it grows while nothing is applied.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from workers.process.metrics.of_workers import LAG, LAG_SECONDS
from workers.records import Partition, RawRecord
from workers.rules.event_time import kafka_time_or


@dataclass(slots=True)
class _Standing:
    """`applied`, `read` and `end` are the next offsets to apply, to read and to be written. `waits_since`: the
    timestamp of the oldest record that waits, in seconds since 1970, or a little before it; None: no record waits.
    """

    applied: int
    read: int
    end: int
    waits_since: float | None = None


_HELD: Final[dict[Partition, _Standing]] = {}


def hold(source: Partition, applied: int, end: int) -> None:
    """The partition is ours from now on."""
    _HELD[source] = _Standing(applied, applied, end, time.time() if end > applied else None)
    _show(source, _HELD[source])
    LAG_SECONDS.labels(source.topic, source.partition).set_function(lambda: _waits_s(source))


def read(source: Partition, records: Sequence[RawRecord], end: int | None) -> None:
    """These records came with a poll, perhaps none; `end` is the partition's, if it is known."""
    standing = _HELD.get(source)
    if standing is None:
        return
    standing.end = max(standing.applied, standing.end if end is None else end)
    if records:
        if standing.read <= standing.applied:
            standing.waits_since = _seconds(records[0])
        standing.read = records[-1].offset + 1
    elif standing.waits_since is None and standing.end > standing.applied:
        standing.waits_since = time.time()  # an open transaction holds back what comes next
    _show(source, standing)


def apply(source: Partition, end: int, last: RawRecord | None) -> None:
    """Everything before `end` is applied; `last` is the last record before it, if there was one."""
    standing = _HELD.get(source)
    if standing is None:
        return
    standing.applied, standing.end = end, max(end, standing.end)
    if standing.end == end:
        standing.waits_since = None
    elif last is not None:
        standing.waits_since = _seconds(last)  # the next one is not older
    _show(source, standing)


def release(source: Partition) -> None:
    """The partition is not ours any more."""
    if _HELD.pop(source, None) is not None:
        LAG.remove(source.topic, source.partition)
        LAG_SECONDS.remove(source.topic, source.partition)


def _show(source: Partition, standing: _Standing) -> None:
    LAG.labels(source.topic, source.partition).set(standing.end - standing.applied)


def _waits_s(source: Partition) -> float:
    standing = _HELD.get(source)
    since = standing.waits_since if standing is not None else None
    return 0.0 if since is None else max(0.0, time.time() - since)


def _seconds(record: RawRecord) -> float:
    return kafka_time_or(record.timestamp, datetime.now(UTC)).timestamp()
