"""Runs `sluice` in the test's own process: as quick as the command, without the start of another process."""

import json
import os
import re
import sys
from collections.abc import Callable
from shlex import split
from typing import Any

import pytest

from tests.cli.commands import Ended
from workers.cli import main
from workers.errors import ExitCode


def runner(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: int = 80, **settings: object
) -> Callable[..., Ended]:
    """Runs a command to its end, with these settings and no others, for a terminal of so many columns."""
    for name in [name for name in os.environ if name.startswith("SLUICE_")]:
        monkeypatch.delenv(name)
    for name, value in settings.items():
        monkeypatch.setenv(f"SLUICE_{name}", str(value))
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)

    def run(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["sluice", *arguments])
        with pytest.raises(SystemExit) as end:
            main.main()
        told = capsys.readouterr()
        return Ended(int(end.value.code or 0), told.out, told.err, 0)

    return run


def document_of(ended: Ended) -> Any:
    """The document of a command that has done its work and said nothing else."""
    assert (ended.code, ended.err) == (ExitCode.CLEAN, "")
    return json.loads(ended.out)


def pages(run: Callable[..., Ended], *arguments: str, limit: int) -> list[dict[str, Any]]:
    """Every row of a list, page by page, as the command says how the next one is asked for."""
    rows: list[dict[str, Any]] = []
    following: list[str] = []
    while True:
        ended = run(*arguments, "--limit", str(limit), "--json", *following)
        assert ended.code == ExitCode.CLEAN
        page = json.loads(ended.out)
        rows += page
        if len(page) < limit:
            assert ended.err == ""
            return rows
        told = re.fullmatch(rf"--limit {limit} is reached; there may be more: (.+)\n", ended.err)
        assert told is not None
        following = split(told[1])
