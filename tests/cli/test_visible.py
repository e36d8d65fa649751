"""No text of others can control the terminal, or look like another text."""

import io
import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.hostile import EVERYTHING, inert, texts
from workers.cli import reports, tables, terminal
from workers.cli.reports import Report
from workers.errors import ExitCode
from workers.terminal_text import visible, visible_json, visible_lines

values = st.one_of(
    *(texts, st.lists(texts, max_size=3), st.dictionaries(texts, texts, max_size=2), st.none(), st.integers()),
    *(st.just(UUID(int=1)), st.just(datetime(2026, 3, 1, tzinfo=UTC))),
)


@given(texts)
def test_what_is_shown_is_one_printable_line_and_what_was_printable_is_as_it_was(text: str) -> None:
    shown = visible(text)
    assert shown.isprintable()
    assert visible(shown) == shown
    assert shown == text or not text.isprintable()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m", "\\x1b[31m"),
        ("\x9b", "\\x9b"),
        ("\x7f\x00", "\\x7f\\x00"),
        ("a\r\n\tb", "a\\r\\n\\tb"),
        ("\u202eabc\u2066", "\\u202eabc\\u2066"),
        ("\u2028\u2029", "\\u2028\\u2029"),
        ("\U000e0041", "\\U000e0041"),
        ("\ud800", "\\ud800"),
        ("Ünï 漢字 🙂 [red]", "Ünï 漢字 🙂 [red]"),
    ],
)
def test_escapes_are_those_of_python(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(texts)
def test_no_line_of_others_passes_for_one_of_ours(text: str) -> None:
    first, *others = visible_lines(text).split("\n")
    assert first.isprintable()
    assert all(line.isprintable() and line.startswith("  ") for line in others)


@given(st.recursive(texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=5))
def test_a_document_stays_the_document_it_was(document: object) -> None:
    for text in (json.dumps(document, ensure_ascii=False, indent=1), json.dumps(document)):
        assert inert(visible_json(text))
        assert json.loads(visible_json(text)) == document


def show_all(width: int, *shown: Report) -> None:
    screen = terminal.console()
    screen.width = width
    for report in shown:
        reports.show(lambda: screen, report, as_json=False)


@given(st.dictionaries(texts, values, min_size=1, max_size=3), texts, texts)
def test_no_table_and_no_line_can_be_written_from_inside(row: dict[str, object], title: str, hint: str) -> None:
    out = io.StringIO()
    with redirect_stdout(out):
        for width in (30, 240):
            show_all(width, Report({title: [row]}), Report({title: []}, hint=hint))
    assert inert(out.getvalue())
    assert inert(tables.lines(row))


def test_a_cell_is_shown_whole_and_without_markup() -> None:
    out = io.StringIO()
    with redirect_stdout(out):
        show_all(10_000, Report({"t": [{EVERYTHING: EVERYTHING}]}))
    assert out.getvalue().count(visible(EVERYTHING)) == 2


@given(st.lists(st.dictionaries(texts, values, max_size=3), max_size=2))
def test_json_for_machines_is_valid_and_inert(rows: list[dict[str, object]]) -> None:
    for document in (rows, {"rows": rows}):
        out = io.StringIO()
        with redirect_stdout(out):
            reports.as_document(document)
        assert inert(out.getvalue())
        assert json.loads(out.getvalue()) == json.loads(msgspec.json.encode(document, enc_hook=str))


def test_a_question_that_a_command_asks_is_one_line() -> None:
    err = io.StringIO()
    with redirect_stderr(err):
        terminal.say(EVERYTHING)
    assert err.getvalue() == visible(EVERYTHING) + "\n"


@pytest.mark.parametrize(("kind", "code"), [("SettingsError", ExitCode.SETUP), ("ValueError", ExitCode.FAULT)])
def test_neither_an_error_nor_a_fault_can_steer(kind: str, code: ExitCode) -> None:
    program = f"""
from workers.cli import main as cli
from workers.errors import SettingsError

@cli.app.command()
def fail():
    raise {kind}({EVERYTHING!r})

cli.main()
"""
    ended = subprocess.run([sys.executable, "-c", program, "fail"], capture_output=True, check=False)  # noqa: S603 - our own words
    told = ended.stderr.decode()
    assert ended.returncode == code, told
    assert inert(told)
    assert visible("\x1b[2J\x1b]0;title") in told
    assert all(line.startswith("  ") for line in told.removesuffix("\n").split("\n")[1:])
