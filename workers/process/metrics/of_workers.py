"""Metrics of workers, of timed jobs, and of feeds of workflow engines."""

from typing import Final

from workers.process.metrics.kinds import SIZES, Section

WORKERS: Final = Section(
    "Workers",
    "`worker` is `inbound`, `outbound`, `commands` or `workflows`; `publisher` for events of jobs and for compacted\n"
    "topics; `jobs` for decisions of timed jobs.",
)
RECORDS: Final = WORKERS.counter("sluice_records_applied_total", "records applied", "worker", "topic")
VERDICTS: Final = WORKERS.counter(
    "sluice_verdicts_total",
    "decisions that were told to an output topic, by the name that the topic has for them, and the reason; a reason "
    "that is not one of Sluice's own, such as a provider's code, is `other`. Answers to repeated requests count again",
    "worker",
    "topic",
    "verdict",
    "reason",
    alert="an unusual share of `dropped`, `held` or `refused`",
)
REVISIONS: Final = WORKERS.counter(
    "sluice_late_revisions_total",
    "messages whose verdict changed after it was published: `late_block`, `late_unblock`, `released`",
    "worker",
    "reason",
)
CONFLICTS: Final = WORKERS.counter(
    "sluice_message_conflicts_total",
    "messages whose id came again with other content, or from another sender",
    "worker",
    alert="an increase that goes on: ids of a producer are not unique",
)
DEAD: Final = WORKERS.counter("sluice_dead_letters_total", "poison records", "worker", "topic", alert="any increase")
KEYLESS: Final = WORKERS.counter(
    "sluice_records_without_key_total", "records that came without a key", "worker", "topic"
)
MISROUTED: Final = WORKERS.counter(
    "sluice_records_with_unexpected_key_total", "records whose key is not of their workspace", "worker", "topic"
)
PUBLISHED: Final = WORKERS.counter("sluice_outputs_published_total", "outputs acknowledged, repeats included", "topic")
BATCH: Final = WORKERS.histogram("sluice_batch_records", "records of a committed transaction", "worker", buckets=SIZES)
RETRIES: Final = WORKERS.counter(
    "sluice_transaction_retries_total",
    "transactions run again: `Conflict`, `RetryBatch`, `Exhausted`, `ConnectionLost`, `TooMuch` (it was too much: in "
    "portions, or a record alone once more)",
    "worker",
    "reason",
    alert="`Exhausted`: PostgreSQL lacks space or connections; `TooMuch`, if it goes on",
)
SQLSTATES: Final = WORKERS.counter(
    "sluice_transaction_retries_by_sqlstate_total",
    "the same by SQLSTATE class, the first two characters of PostgreSQL's code (`40` conflicts, `53` lack of "
    "resources, `57` intervention, `08` connection); `none` if PostgreSQL reported none",
    "worker",
    "sqlstate_class",
)
FENCED: Final = WORKERS.counter(
    "sluice_fenced_partitions_total",
    "partitions found lost within a transaction",
    "worker",
    alert="any increase outside of deployments",
)
REBALANCES: Final = WORKERS.counter(
    "sluice_rebalances_total",
    "assignments of partitions by the consumer group",
    "worker",
    alert="an increase that goes on outside of deployments",
)
REBUILT: Final = WORKERS.counter(
    "sluice_producer_rebuilt_total",
    "producers replaced: publishing failed or took too long",
    "worker",
    alert="an increase that goes on",
)
POLL: Final = WORKERS.histogram(
    "sluice_poll_seconds", "from asking for records until some came, so also the time without input", "worker"
)
DECODE: Final = WORKERS.histogram("sluice_decode_seconds", "from the bytes of a poll to its records", "worker")
TRANSACTION: Final = WORKERS.histogram(
    "sluice_transaction_seconds", "from the fence to COMMIT, retries included", "worker"
)
PUBLICATION: Final = WORKERS.histogram(
    "sluice_publication_seconds", "from the first send of a poll's outputs to the last acknowledgement", "worker"
)
OFFSETS: Final = WORKERS.histogram("sluice_offset_commit_seconds", "a commit of offsets in Kafka", "worker")
LAG: Final = WORKERS.gauge(
    "sluice_lag_records",
    "records not yet applied, of each partition that the process holds",
    "topic",
    "partition",
    alert="growth",
)
LAG_SECONDS: Final = WORKERS.gauge(
    "sluice_lag_seconds",
    "age, by its Kafka timestamp, of the oldest record not yet applied; 0 without such a record",
    "topic",
    "partition",
    alert="more than a few minutes; above one day: records are lost after seven",
)
REPAIRED: Final = WORKERS.counter(
    "sluice_compaction_repairs_total",
    "keys of a compacted topic that compaction repair published again",
    "topic",
)
JOBS: Final = WORKERS.counter("sluice_job_rounds_total", "rounds of timed jobs", "job")
TOLD: Final = WORKERS.counter(
    "sluice_engine_records_total",
    "of `sluice engine`: records that the engine was told (`told`), of these what it refused for good (`refused`), and "
    "what could not be read (`skipped`)",
    "outcome",
    alert="`refused`, `skipped`: any increase",
)
TOLD_OUTCOMES: Final = ("told", "refused", "skipped")
"""What became of a record for an engine."""
