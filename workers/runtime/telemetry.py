"""Logs and metrics. Every log line is one sentence for people and a stable `action` for machines; every metric's name
stands in this file. An address of a person is shown in neither.
"""

import logging
import sys
from typing import Any, Final

import structlog
from prometheus_client import Counter, Gauge, Histogram, start_http_server

from workers.errors import SettingsError

RECORDS: Final = Counter("sluice_records_applied_total", "Records applied.", ["worker", "topic"])
DEAD: Final = Counter("sluice_dead_letters_total", "Records that could not be understood.", ["worker", "topic"])
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
LAG: Final = Gauge("sluice_lag_records", "Records not yet applied, as of the last poll.", ["topic", "partition"])
REPAIRED: Final = Counter(
    "sluice_tail_repairs_total", "Keys whose last record on a compacted topic was older than their row.", ["topic"]
)
JOBS: Final = Counter("sluice_job_rounds_total", "Rounds of timed jobs.", ["job"])

# Tracebacks never show variables: they hold passwords and people's messages.
_CONSOLE: Final = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
_TRACEBACKS: Final = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)
_ONCE_IN_S: Final = 10.0
_MOST_SENTENCES: Final = 1_000
_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure_logging(log_format: str = "auto", level: str = "info") -> None:
    """Logs go to standard error: for people on a terminal, as JSON lines otherwise. Libraries log there as well."""
    console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any = _CONSOLE if console else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared, *_errors(console), renderer],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_News())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _library],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_errors(console),
                renderer,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    # What it warns of, a retried request or a rebalance, is its everyday life; the engine says what matters of it.
    logging.getLogger("aiokafka").setLevel(logging.ERROR if level != "debug" else logging.WARNING)


class _News(logging.Filter):
    """What a library complains of passes once in a while: with Kafka away, aiokafka says the same for every request."""

    def __init__(self) -> None:
        super().__init__()
        self._passed: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        sentence = record.name, str(record.msg)
        # No broker to begin with: aiokafka raises as well, and whoever waits for it tells it in one line.
        if record.name.startswith("aiokafka") and sentence[1].startswith('Unable connect to "'):
            return False
        if record.created < self._passed.get(sentence, 0.0) + _ONCE_IN_S:
            return False
        if len(self._passed) >= _MOST_SENTENCES:
            self._passed.clear()
        self._passed[sentence] = record.created
        return True


def _errors(console: bool) -> list[Any]:  # noqa: FBT001 - a value of one decision, not a mode
    return [] if console else [_TRACEBACKS]


def _library(_logger: Any, _method: str, event: Any) -> Any:
    record = event.get("_record")
    event["action"] = f"library_{record.name.split('.')[0]}" if record is not None else "library"
    return event


def serve_metrics(host: str, port: int) -> None:
    """Serves the metrics over HTTP, in a thread of its own, as long as the process lives.

    Raises:
        SettingsError: the address cannot be had.
    """
    try:
        start_http_server(port, addr=host)
    except OSError as error:
        raise SettingsError(
            f"SLUICE_METRICS_HOST and _PORT: {host}:{port} cannot be had: {error.strerror or error}"
        ) from error
