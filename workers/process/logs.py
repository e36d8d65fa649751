"""Logs. A line is one sentence for people and a stable `action` for machines. None shows the address of a person."""

import io
import json
import logging
import sys
from collections.abc import Callable
from typing import Any, Final, TextIO

import structlog

from workers.terminal_text import visible, visible_json, visible_lines

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
