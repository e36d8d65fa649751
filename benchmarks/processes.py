"""Sides as processes: starts them, waits until they consume, stops them."""

import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

ROOT: Final = Path(__file__).resolve().parents[1]
READY_S: Final = 60.0
STOP_S: Final = 10.0


class SideFailed(Exception):  # noqa: N818
    """A side ended, made no progress or never began; with the end of its output."""


class SideProcess:
    """One process of a side."""

    def __init__(self, process: "subprocess.Popen[bytes]", out: IO[str], log: Path) -> None:
        self._process = process
        self._out = out
        self._log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    def await_consuming(self) -> None:
        """Returns when it reports its assignment.

        Raises:
            SideFailed: it did not, within a minute.
        """
        with selectors.DefaultSelector() as selector:
            selector.register(self._out, selectors.EVENT_READ)
            if not selector.select(READY_S):
                raise self.failed("did not begin to consume")
        if self._out.readline().strip() != "consuming":
            raise self.failed("ended before it consumed")

    def check(self) -> None:
        """Raises:
        SideFailed: it has ended.
        """
        if self._process.poll() is not None:
            raise self.failed(f"ended with {self._process.returncode}")

    def failed(self, how: str) -> SideFailed:
        """The error that says so."""
        return SideFailed(f"{self._log.stem} {how}:\n{self._log.read_text(encoding='utf-8', errors='replace')[-3000:]}")

    def end(self) -> None:
        """SIGTERM, and SIGKILL for what does not end by that."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._out.close()


@contextmanager
def running(name: str, command: Sequence[str], count: int, folder: Path) -> Iterator[list[SideProcess]]:
    """`count` processes of one side, which consume when the block begins and end with it."""
    processes: list[SideProcess] = []
    try:
        processes.extend(started(command, folder / f"{name}-{number}.log", folder) for number in range(count))
        for process in processes:
            process.await_consuming()
        yield processes
    finally:
        for process in processes:
            process.end()


def started(command: Sequence[str], log: Path, folder: Path) -> SideProcess:
    """One process, which does not consume yet."""
    told = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    told["PYTHONPATH"] = str(ROOT)
    reading, writing = os.pipe()
    try:
        with log.open("w") as errors, os.fdopen(writing, "w") as out:
            process = subprocess.Popen(command, stdout=out, stderr=errors, cwd=folder, env=told)  # noqa: S603 - our own words
    except FileNotFoundError as error:
        os.close(reading)
        raise SideFailed(f"{log.stem}: there is no {error.filename}; `make bench` makes what sides need") from error
    return SideProcess(process, os.fdopen(reading), log)


def python_of(module: str) -> str:
    """The interpreter of a side: this one, except for Quix Streams, which needs other versions."""
    own = ROOT / ".venv" / "quix" / "bin" / "python"
    return str(own) if module == "quix" else sys.executable
