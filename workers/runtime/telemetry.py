"""Sets the counters of workers to 0 at the start: an alert on an absent counter does not fire the first time."""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from schemas.topics import TOPICS
from workers.process.metrics import of_workers as metrics
from workers.runtime.verdicts import KNOWN, LATE

REASONS: Final = ("Conflict", "RetryBatch", "Exhausted", "ConnectionLost", "TooMuch")
"""Why a transaction runs again."""


def from_zero(
    workers: Mapping[str, Collection[str]], publishers: Collection[str], jobs: Iterable[str], compacted: Iterable[str]
) -> None:
    """Sets every counter to 0 for each label that it may have and that is known.

    `workers` maps names to the topics that they consume; they publish as well, as `publishers` do.
    """
    for worker, topics in workers.items():
        _of_worker(worker, topics)
    for publisher in (*workers, *publishers):
        metrics.REBUILT.labels(publisher)
        metrics.PUBLICATION.labels(publisher)
    for topic, spec in TOPICS.items():
        if spec.direction == "out":
            metrics.PUBLISHED.labels(topic)
    for job in jobs:
        metrics.JOBS.labels(job)
    for topic in compacted:
        metrics.REPAIRED.labels(topic)


def _of_worker(worker: str, topics: Collection[str]) -> None:
    for counter in (metrics.RECORDS, metrics.DEAD, metrics.KEYLESS, metrics.MISROUTED):
        for topic in topics:
            counter.labels(worker, topic)
    for reason in REASONS:
        metrics.RETRIES.labels(worker, reason)
    for verdict in KNOWN.get(worker, ()):
        metrics.VERDICTS.labels(worker, *verdict)
    for reason in LATE.get(worker, ()):
        metrics.REVISIONS.labels(worker, reason)
    for one in (metrics.FENCED, metrics.REBALANCES, metrics.CONFLICTS):
        one.labels(worker)
    for histogram in (metrics.POLL, metrics.DECODE, metrics.BATCH, metrics.TRANSACTION, metrics.OFFSETS):
        histogram.labels(worker)
