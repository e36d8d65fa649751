"""Logs and metrics. A log line is one sentence for people and a stable `action` for machines.

This file has the names of all metrics. Neither logs nor metrics show the address of a person.
"""

import io
import json
import logging
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final, TextIO

import structlog
from prometheus_client import Counter, Gauge, Histogram, start_http_server

from schemas.topics import TOPICS
from workers.errors import SettingsError
from workers.terminal_text import visible, visible_json, visible_lines

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
LOOP_BLOCKED: Final = Histogram(
    "sluice_loop_blocked_seconds",
    "How much too late the event loop came back, where that was 50 ms or more.",
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
SERVICE_RUNNING: Final = Gauge(
    "sluice_service_running", "1 while a part of the process is at work, else 0.", ["service"]
)
FAILURES: Final = Counter(
    "sluice_service_failures_total", "Parts of the process that ended by themselves.", ["service"]
)
JOBS: Final = Counter("sluice_job_rounds_total", "Rounds of timed jobs.", ["job"])

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


# Tracebacks never show variables, because those hold passwords and messages.
_TRACEBACKS: Final = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)
_ONCE_IN_S: Final = 10.0
_MOST_SENTENCES: Final = 1_000
_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure_logging(log_format: str = "auto", level: str = "info") -> None:
    """Logs go to standard error: formatted on a terminal, JSON lines otherwise. Logs of libraries go there as well."""
    console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendering = _for_people() if console else [_TRACEBACKS, structlog.processors.JSONRenderer(_json)]
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_LibraryLogs(level))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _library],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


class _LibraryLogs(logging.Filter):
    """Limits each message of a library to one in a time span.

    The clients of both servers log normal events as errors: a request that is sent again, a rebalance, a server that is
    away. The engine logs what matters, so these appear at `debug` only. An exception that aiokafka did not expect
    appears at any level.
    """

    def __init__(self, level: str) -> None:
        super().__init__()
        self._routine_too = level == "debug"
        self._passed: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        library = record.name.partition(".")[0]
        routine = library == "asyncpg" or (library == "aiokafka" and not record.exc_info)
        if routine and not self._routine_too:
            return False
        sentence = record.name, str(record.msg)
        if record.created < self._passed.get(sentence, 0.0) + _ONCE_IN_S:
            return False
        if len(self._passed) >= _MOST_SENTENCES:
            self._passed.clear()
        self._passed[sentence] = record.created
        return True


def _for_people() -> list[Any]:
    """Renders for a terminal, and escapes everything that could control it: keys, values, events, tracebacks."""
    renderer = structlog.dev.ConsoleRenderer(exception_formatter=_traceback)
    for column in renderer.columns:
        if isinstance(column.formatter, structlog.dev.KeyValueColumnFormatter):
            column.formatter.value_repr = _visibly(column.formatter.value_repr)
    return [_visible_names, renderer]


def _visibly(shown: Callable[[object], str]) -> Callable[[object], str]:
    return lambda value: visible(shown(value))


def _visible_names(_logger: Any, _method: str, event: Any) -> Any:
    shown = {visible(name): value for name, value in event.items()}
    # These two are not escaped.
    return shown | {n: "  " + visible_lines(str(shown[n])) for n in ("stack", "exception") if n in shown}


def _traceback(stream: TextIO, raised: Any) -> None:
    text = io.StringIO()
    structlog.dev.plain_traceback(text, raised)
    stream.write(visible_lines(text.getvalue()))


def _json(event: Any, **options: Any) -> str:
    return visible_json(json.dumps(event, **options))


def _library(_logger: Any, _method: str, event: Any) -> Any:
    record = event.get("_record")
    event["action"] = f"library_{record.name.split('.')[0]}" if record is not None else "library"
    return event


def serve_metrics(host: str, port: int) -> None:
    """Serves the metrics over HTTP, in a thread, until the process ends.

    Raises:
        SettingsError: the address is not available.
    """
    try:
        start_http_server(port, addr=host)
    except OSError as error:
        raise SettingsError(
            f"SLUICE_METRICS_HOST and _PORT: {host}:{port} is not available: {error.strerror or error}"
        ) from error
