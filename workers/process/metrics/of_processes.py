"""Metrics that every process has."""

from typing import Final

from workers.process.metrics.kinds import Section

PROCESSES: Final = Section(
    "Every process",
    "Besides, the Prometheus client shows `process_…` (memory, CPU time, open files, start), `python_gc_…` and\n"
    "`python_info`.",
)
LOOP_BLOCKED: Final = PROCESSES.histogram(
    "sluice_loop_blocked_seconds",
    "how long the event loop was blocked, from 50 ms on. While it is blocked the process does nothing else, heartbeats "
    "included",
    buckets=(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
    alert="above 2.5: `loop_blocked` in the log says where it stood",
)
LOOP_LAG: Final = PROCESSES.gauge(
    "sluice_loop_lag_seconds", "how long ago the event loop should have had its last turn, at the time of the scrape"
)
SERVER_UP: Final = PROCESSES.gauge(
    "sluice_server_up", "1 while a server (`PostgreSQL`, `Kafka`) answers this process, else 0", "server", alert="0"
)
SERVICE_RUNNING: Final = PROCESSES.gauge(
    "sluice_service_running",
    "1 while a part of the process is at work, 0 once it has ended or waits to start again: a worker, a job, "
    "`publisher`, `compaction repair` of a topic",
    "service",
    alert="0 for more than a minute",
)
FAILURES: Final = PROCESSES.counter(
    "sluice_service_failures_total",
    "parts of the process that ended by themselves",
    "service",
    alert="an increase that goes on",
)
