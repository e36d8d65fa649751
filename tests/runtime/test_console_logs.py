"""Logs on a terminal show everything that was logged without letting it control the terminal."""

import io
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from tests.support.hostile import EVERYTHING, inert, texts
from workers.process.logs import configure_logging
from workers.terminal_text import visible

_STYLES = re.compile(r"\x1b\[\d*m")  # what the renderer itself writes: colours, bright, reset

fields = st.dictionaries(
    texts.filter(lambda name: name not in {"event", "level", "timestamp", "exc_info", "_record", "_from_structlog"}),
    st.one_of(texts, st.lists(texts, max_size=2), st.dictionaries(texts, texts, max_size=2), texts.map(ValueError)),
    max_size=3,
)


class Odd:
    """An object whose own description steers."""

    def __repr__(self) -> str:
        return EVERYTHING


@contextmanager
def logged(log_format: str) -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()  # configuring closes what it finds
    try:
        with redirect_stderr(io.StringIO()) as stream:
            configure_logging(log_format, "debug")
            yield stream
    finally:
        root.handlers[:], root.level = handlers, level
        structlog.reset_defaults()


def plain(stream: io.StringIO) -> str:
    """What was logged without the renderer's own styles; those stand where no text of others was."""
    return _STYLES.sub("", stream.getvalue())


def as_an_event(text: str, more: Mapping[str, object]) -> None:
    structlog.get_logger().warning(text, **{**more, "action": "test"})


def as_a_librarys_record(text: str, more: Mapping[str, object]) -> None:
    logging.getLogger("asyncpg").error("%s %s", text, more)


def as_a_logger_of_that_name(text: str, more: Mapping[str, object]) -> None:
    as_an_event(text, {**more, "logger": text, "logger_name": text})


def as_a_block(text: str, more: Mapping[str, object]) -> None:
    as_an_event("event", {**more, "stack": text, "exception": text})


def as_a_fault(text: str, more: Mapping[str, object]) -> None:
    try:
        try:
            raise KeyError(text)
        except KeyError as cause:
            raise ValueError(text, more) from cause
    except ValueError:
        structlog.get_logger().exception(text, action="fault")


WAYS = [as_an_event, as_a_librarys_record, as_a_logger_of_that_name, as_a_block, as_a_fault]


@pytest.mark.parametrize("write", WAYS)
@given(texts, fields)
def test_nothing_that_is_logged_steers_the_terminal(
    write: Callable[[str, Mapping[str, object]], None], text: str, more: dict[str, object]
) -> None:
    with logged("console") as stream:
        # The renderer's styles are known: text of others that looks like one must be escaped as well.
        write(text, more)
    assert inert(plain(stream))
    first, *others = plain(stream).removesuffix("\n").split("\n")
    assert first
    assert all(line.startswith("  ") or line in {"", "=" * 79} for line in others)


@pytest.mark.parametrize("write", WAYS)
def test_what_looks_like_a_style_is_shown(write: Callable[[str, Mapping[str, object]], None]) -> None:
    with logged("console") as stream:
        write("\x1b[31m\x1b[0m", {"\x1b[1m": "\x1b[32m"})
    shown = plain(stream)
    assert visible("\x1b[31m\x1b[0m") in shown


def test_keys_and_descriptions_are_shown_as_well() -> None:
    with logged("console") as stream:
        structlog.get_logger().warning("event", **{EVERYTHING: Odd()})
    assert f"{visible(EVERYTHING)}={visible(EVERYTHING)}" in plain(stream)


@given(texts, fields)
def test_json_lines_are_valid_and_inert(text: str, more: dict[str, object]) -> None:
    with logged("json") as stream:
        as_an_event(text, more)
        as_a_fault(text, more)
    assert inert(stream.getvalue())
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [event["event"] for event in events] == [text, text]
