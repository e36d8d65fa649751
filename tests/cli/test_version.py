"""`sluice version`, and what a shell is told while it completes a line."""

import json
import platform
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.cli.commands import Ended
from tests.cli.inside import runner
from workers.cli.main import WORKER_NAMES
from workers.errors import ExitCode

NEWEST = max(path.name for path in Path("workers/store/migrations").glob("*.sql"))
Run = Callable[..., Ended]
Completed = Callable[[str], Sequence[str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capsys)


@pytest.fixture
def completed(run: Run, monkeypatch: pytest.MonkeyPatch) -> Completed:
    """What bash may put in place of the last word of a line."""

    def ask(line: str) -> Sequence[str]:
        monkeypatch.setenv("_SLUICE_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        return run().out.split()

    return ask


def test_the_version_names_the_package_the_schema_and_python(run: Run) -> None:
    ended = run("version", "--json")

    assert (ended.code, ended.err) == (ExitCode.CLEAN, "")
    assert json.loads(ended.out) == {
        "sluice": version("sluice"),
        "schema": int(NEWEST[:4]),
        "python": platform.python_version(),
    }


@pytest.mark.parametrize("asked", ["version", "--version"])
def test_the_version_is_one_line_for_people(run: Run, asked: str) -> None:
    ended = run(asked)

    assert (ended.code, ended.err) == (ExitCode.CLEAN, "")
    assert ended.out == f"Sluice {version('sluice')} (schema {int(NEWEST[:4])}, Python {platform.python_version()})\n"


def test_the_version_needs_no_settings_that_are_right(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_DATABASE_URL", "nonsense")

    assert run("version").code == ExitCode.CLEAN


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("sluice vers", ["version"]),
        ("sluice unbl", ["unblock-contact", "unblock"]),
        ("sluice mac expl", ["explain"]),
        ("sluice impact bl", ["block-contact"]),
        ("sluice worker ", WORKER_NAMES),
        ("sluice block --works", ["--workspace"]),
    ],
)
def test_a_shell_completes_commands_twins_options_and_names(
    completed: Completed, line: str, words: Sequence[str]
) -> None:
    assert list(completed(line)) == list(words)


def test_the_script_of_a_shell_is_printed(run: Run) -> None:
    ended = run("--show-completion", "bash")

    assert ended.code == ExitCode.CLEAN
    assert "complete -o default -F _sluice_completion sluice" in ended.out
