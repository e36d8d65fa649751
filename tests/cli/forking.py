"""Runs `sluice` in a process that is forked from one that has loaded the libraries: an interpreter takes most of its
time for them, and a command has little else to do.

Of Sluice's own modules nothing is loaded before, so that a command loads what it needs, as in a process of its own.
"""

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

_LIBRARIES: Final = (
    *("aiokafka", "aiokafka.admin", "asyncpg", "msgspec", "phonenumbers", "prometheus_client", "pydantic"),
    *("pydantic_settings", "rich.console", "rich.table", "structlog", "structlog.dev", "typer", "typer.rich_utils"),
)


def run(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], out: Path, err: Path, timeout_s: float
) -> int:
    """The exit code of a command that writes to these files.

    Raises:
        subprocess.TimeoutExpired: it did not end in time, and was killed.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_LIBRARIES))
    command = context.Process(
        target=_become, args=(list(arguments), str(folder), dict(environment), str(out), str(err)), daemon=True
    )
    command.start()
    command.join(timeout_s)
    try:
        if command.exitcode is None:
            command.kill()
            command.join()
            raise subprocess.TimeoutExpired(list(arguments), timeout_s)
        return command.exitcode
    finally:
        command.close()


def _become(arguments: list[str], folder: str, environment: dict[str, str], out: str, err: str) -> None:
    for descriptor, path in ((1, out), (2, err)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv = ["sluice", *arguments]
    try:
        from workers.cli.main import main

        main()
    except SystemExit:
        raise
    except BaseException:  # noqa: BLE001 - as an interpreter ends
        sys.excepthook(*sys.exc_info())
        sys.exit(1)
