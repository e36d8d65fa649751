"""Metrics of the whole installation, from the database: `workers/app/state_metrics.py` measures them."""

from typing import Final

from workers.process.metrics.kinds import Section

STATE: Final = Section(
    "State of the installation",
    "One process at a time measures these, every 10 seconds: the one that runs the job `measure the state`, of\n"
    "`upkeep`. The others do not show them, and nobody does while no `upkeep` is at work: alert on their absence.\n"
    "Numbers above 10,000 are not counted further, except where a row says otherwise.",
)
OLDEST_OUTPUT: Final = STATE.state(
    "sluice_unpublished_oldest_seconds",
    "age of the oldest output that is stored and not yet acknowledged by Kafka",
    alert="above 60: nothing publishes, or Kafka does not acknowledge",
)
UNPUBLISHED: Final = STATE.state(
    "sluice_unpublished_rows",
    "what waits to be published: `batches` of outputs, `events` of jobs, `contacts` and `counts` of compacted topics",
    "kind",
    alert="growth",
)
UNREAD: Final = STATE.state(
    "sluice_unread_records",
    "records of an input topic that no worker has applied yet, of all partitions, also of those that nobody holds",
    "topic",
    alert="growth",
)
UNHELD: Final = STATE.state(
    "sluice_partitions_without_worker",
    "input partitions without a worker at work",
    "topic",
    alert="above 0 for minutes",
)
HOLDS: Final = STATE.state("sluice_holds_open", "sends that wait for a person")
OLDEST_HOLD: Final = STATE.state(
    "sluice_holds_oldest_seconds",
    "age of the oldest of them",
    alert="near `hold_ttl_hours`: it expires then",
)
AMBIGUOUS: Final = STATE.state(
    "sluice_sends_ambiguous",
    "sends of which nobody can know whether they left",
    alert="above 0: [what to do](operations.md#ambiguous-sends)",
)
PARKED: Final = STATE.state("sluice_parked_receipts", "receipts that came before their send was dispatched")
QUARANTINE: Final = STATE.state(
    "sluice_quarantine_messages",
    "dropped messages whose content is still kept; above 10,000 the estimate of PostgreSQL's statistics",
)
LETTERS: Final = STATE.state(
    "sluice_dead_letters_new",
    "dead letters that nobody has replayed or dismissed. `reason` is the field of the record that was wrong or "
    "missing, `malformed` JSON, a limit (`too_costly`, `too_large`, `too_many_channels`), an unreadable `batch`, or "
    "`other`",
    "topic",
    "reason",
    alert="above 0",
)
OLDEST_LETTER: Final = STATE.state(
    "sluice_dead_letters_oldest_seconds",
    "age of the oldest of them",
    "topic",
    "reason",
    alert="above 5 days: the content is erased after 7",
)
PENDING: Final = STATE.state("sluice_pending_work", "pieces of work in steps that are not done", "kind")
OLDEST_PENDING: Final = STATE.state(
    "sluice_pending_work_oldest_seconds",
    "age of the oldest of them",
    "kind",
    alert="growth while there is little work: `sluice status` shows its progress",
)
CLOSING_DELAY: Final = STATE.state(
    "sluice_closing_delay_seconds",
    "age of the oldest billing cycle that is past its closing instant and still open",
    alert="growth: `sluice status` names the partition",
)
DIFFERENCES: Final = STATE.state(
    "sluice_mac_differences",
    "differences between the counts and the messages that the last verification of all workspaces found",
    alert="above 0: [what to do](billing.md#verifying)",
)
DIFFERING: Final = STATE.state(
    "sluice_mac_workspaces_differing", "workspaces in which that verification found differences", alert="above 0"
)
VERIFIED: Final = STATE.state(
    "sluice_mac_verified_timestamp_seconds",
    "when all counts were verified last, as Unix time",
    alert="more than two days ago",
)
MEASURED: Final = STATE.state(
    "sluice_state_measured_timestamp_seconds",
    "when the state was measured, as Unix time",
    alert="absent, or more than two minutes ago",
)
