"""What is logged, and how often."""

import io
import logging
from collections.abc import Iterator
from contextlib import redirect_stderr

import pytest
import structlog

from workers.runtime.telemetry import configure_logging


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What a process logs that logs as a worker does."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()  # configuring closes what it finds
    with redirect_stderr(io.StringIO()) as stream:
        configure_logging("json")
        yield stream
    root.handlers[:], root.level = handlers, level
    logging.getLogger("aiokafka").setLevel(logging.NOTSET)
    structlog.reset_defaults()


def complaint(sentence: str, broker: str, created: float) -> logging.LogRecord:
    record = logging.LogRecord("aiokafka.conn", logging.ERROR, __file__, 1, sentence, (broker,), None)
    record.created = created
    return record


def test_what_a_library_repeats_for_every_request_is_told_once_in_ten_seconds(logged: io.StringIO) -> None:
    for tenth in range(250):
        for sentence in ("no answer from %s", "lost %s"):
            logging.getLogger("aiokafka.conn").handle(complaint(sentence, f"broker {tenth}", 1_000 + tenth / 10))
    told = [line for line in logged.getvalue().splitlines() if "library_aiokafka" in line]
    assert len(told) == 2 * 3
    assert ["broker 100" in line for line in told] == [False, False, True, True, False, False]
