"""Runs `sluice` in the test's own process: as quick as the command, without the start of another process."""

import os
import sys
from collections.abc import Callable

import pytest

from tests.cli.commands import Ended
from workers.cli import main


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
