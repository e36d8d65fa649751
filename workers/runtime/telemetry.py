"""Metrics of the workers: this file has the names of all. None shows the address of a person."""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from schemas.topics import TOPICS

RECORDS: Final = Counter("sluice_records_applied_total", "Records applied.", ["worker", "topic"])
DEAD: Final = Counter("sluice_dead_letters_total", "Records that became dead letters.", ["worker", "topic"])
KEYLESS: Final = Counter("sluice_records_without_key_total", "Records that came without a key.", ["worker", "topic"])
MISROUTED: Final = Counter(
    "sluice_records_with_unexpected_key_total",
    "Records whose key is not of their workspace.",
    ["worker", "topic"],
)
PUBLISHED: Final = Counter("sluice_outputs_published_total", "Outputs acknowledged, repeats included.", ["topic"])
RETRIES: Final = Counter("sluice_transaction_retries_total", "Transactions run again.", ["worker", "reason"])
FENCED: Final = Counter("sluice_fenced_partitions_total", "Partitions found lost within a transaction.", ["worker"])
REBUILT: Final = Counter("sluice_producer_rebuilt_total", "Producers thrown away.", ["worker"])
TRANSACTION: Final = Histogram(
    "sluice_transaction_seconds",
    "From fence to COMMIT, retries included.",
    ["worker"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
PUBLICATION: Final = Histogram(
    "sluice_publication_seconds",
    "From the first send to the last acknowledgement of a poll's outputs.",
    ["worker"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
LAG: Final = Gauge(
    "sluice_lag_records", "Records not yet applied, as of the last poll, of partitions held.", ["topic", "partition"]
)
REPAIRED: Final = Counter(
    "sluice_compaction_repairs_total",
    "Keys whose last record on a compacted topic was older than their row.",
    ["topic"],
)
SERVICE_RUNNING: Final = Gauge(
    "sluice_service_running", "1 while a part of the process is at work, else 0.", ["service"]
)
FAILURES: Final = Counter(
    "sluice_service_failures_total", "Parts of the process that ended by themselves.", ["service"]
)
JOBS: Final = Counter("sluice_job_rounds_total", "Rounds of timed jobs.", ["job"])

DIFFERENCES: Final = Gauge(
    "sluice_mac_differences", "Differences between the counts and the messages that the last verification found."
)
CLOSING_DELAY: Final = Gauge(
    "sluice_closing_delay_seconds", "Age of the oldest billing cycle that is past its closing instant and still open."
)
VERIFIED: Final = Gauge(
    "sluice_mac_verified_timestamp_seconds", "When the counts of all workspaces were verified last (Unix time)."
)

TOLD: Final = Counter(
    "sluice_engine_records_total", "Records of workflows.control that an engine heard of.", ["outcome"]
)

OUTCOMES: Final = ("told", "refused", "skipped")
"""What became of a record for an engine."""
REASONS: Final = ("Conflict", "RetryBatch", "Exhausted", "ConnectionLost", "TooMuch")
"""Why a transaction runs again."""


def from_zero(
    workers: Mapping[str, Collection[str]], publishers: Collection[str], jobs: Iterable[str], compacted: Iterable[str]
) -> None:
    """Sets every counter to 0: an alert on an absent counter does not fire the first time.

    `workers` maps names to the topics that they consume; they publish as well, as `publishers` do.
    """
    for worker, topics in workers.items():
        for counter in (RECORDS, DEAD, KEYLESS, MISROUTED):
            for topic in topics:
                counter.labels(worker, topic)
        for reason in REASONS:
            RETRIES.labels(worker, reason)
        FENCED.labels(worker)
        TRANSACTION.labels(worker)
    for publisher in (*workers, *publishers):
        REBUILT.labels(publisher)
        PUBLICATION.labels(publisher)
    for topic, spec in TOPICS.items():
        if spec.direction == "out":
            PUBLISHED.labels(topic)
    for job in jobs:
        JOBS.labels(job)
    for topic in compacted:
        REPAIRED.labels(topic)
