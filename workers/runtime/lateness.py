"""How far behind polls are. What waits for long is lost in the end: a topic keeps it for so many days (contract 8)."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog

from schemas.topics import TOPICS
from workers.runtime.batch import RawRecord, Source
from workers.runtime.telemetry import LAG

_AGAIN_AFTER_S: Final = 3_600.0
_DAY_MS: Final = 24 * 3_600 * 1_000

log = structlog.get_logger()


class Lateness:
    """Tells the lag after each poll, and warns once an hour where half of the time is over."""

    def __init__(self) -> None:
        self._said_at: dict[Source, float] = {}

    def look(
        self,
        polled: Mapping[Source, Sequence[RawRecord]],
        highwater: Callable[[Source], int | None],
        now_s: float | None = None,
    ) -> None:
        """To be called with what each poll brought, and with a look-up of the offset that comes next in a partition."""
        now_s = time.time() if now_s is None else now_s
        for source, records in polled.items():
            end = highwater(source)
            if end is not None:
                LAG.labels(source.topic, source.partition).set(end - records[-1].offset - 1)
            kept_ms = TOPICS[source.topic].retention_ms if source.topic in TOPICS else None
            age_ms = now_s * 1_000 - records[0].timestamp
            if kept_ms is None or age_ms < kept_ms / 2 or now_s - self._said_at.get(source, 0.0) < _AGAIN_AFTER_S:
                continue
            self._said_at[source] = now_s
            log.warning(
                "Records have waited for more than half of the time for which their topic keeps them; what is older is "
                "lost. More workers help.",
                action="input_ageing",
                topic=source.topic,
                partition=source.partition,
                waited_days=round(age_ms / _DAY_MS, 1),
                kept_days=round(kept_ms / _DAY_MS, 1),
            )
