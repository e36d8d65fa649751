"""Records that wait too long are lost: a topic keeps them for a limited number of days (contract 8)."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import structlog

from schemas.topics import TOPICS
from workers.records import Partition, Slice
from workers.rules.event_time import kafka_time_or
from workers.runtime import lag

_AGAIN_AFTER_S: Final = 3_600.0
_DAY_MS: Final = 24 * 3_600 * 1_000

log = structlog.get_logger()


class Lateness:
    """Reports the lag, and warns once an hour after half of the retention time."""

    def __init__(self) -> None:
        self._said_at: dict[Partition, float] = {}

    def lag(self, ends: Mapping[Partition, int | None], polled: Mapping[Partition, Slice]) -> None:
        """Call it after each poll with the ends of the partitions that are read, None where it is not known."""
        for source, end in ends.items():
            part = polled.get(source)
            lag.read(source, part.records if part is not None else (), end)

    def look(self, polled: Mapping[Partition, Slice], now_s: float | None = None) -> None:
        """Call it with the records of each poll."""
        now_s = time.time() if now_s is None else now_s
        for source, part in polled.items():
            kept_ms = TOPICS[source.topic].retention_ms if source.topic in TOPICS else None
            age_ms = _age_ms(part, now_s)
            if kept_ms is None or age_ms < kept_ms / 2 or now_s - self._said_at.get(source, 0.0) < _AGAIN_AFTER_S:
                continue
            self._said_at[source] = now_s
            log.warning(
                "Records have waited for more than half of the time for which their topic keeps them; older ones are "
                "lost. Start more workers.",
                action="input_ageing",
                topic=source.topic,
                partition=source.partition,
                waited_days=round(age_ms / _DAY_MS, 1),
                kept_days=round(kept_ms / _DAY_MS, 1),
            )


def _age_ms(part: Slice, now_s: float) -> float:
    """Age of the first record. A timestamp out of range has no age."""
    if not part.records:
        return 0.0
    now = datetime.fromtimestamp(now_s, UTC)
    return (now - kafka_time_or(part.records[0].timestamp, now)).total_seconds() * 1_000
