"""Runs `sluice` as a user does: in another process, with an environment, a working folder, signals and exit codes."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from tests.cli import forking

SLUICE: Final = Path(sys.executable).parent / "sluice"
STOP_S: Final = 30.0
START_S: Final = 60.0


class Ended(NamedTuple):
    """How a command ended. `seconds`: from the signal, or from its start."""

    code: int
    out: str
    err: str
    seconds: float


class Running:
    """A command at work; its output is in files, so that it never waits for a reader."""

    def __init__(self, process: "subprocess.Popen[str]", out: Path, err: Path) -> None:
        self._process = process
        self._out = out
        self._err = err

    def until(self, done: Callable[[], bool]) -> None:
        """Waits.

        Raises:
            AssertionError: the command ended before, or it took a minute.
        """
        deadline = time.monotonic() + START_S
        while not done():
            assert self._process.poll() is None, f"ended with {self._process.returncode}: {self._err.read_text()}"
            assert time.monotonic() < deadline, f"nothing came of it: {self._err.read_text()}"
            time.sleep(0.02)

    @property
    def out(self) -> str:
        """What it has printed so far."""
        return self._out.read_text(encoding="utf-8")

    def until_consuming(self) -> None:
        """Waits until every worker says that it consumes."""
        self.until_said("ready")

    def until_said(self, action: str) -> None:
        """Waits until the log has such a line."""
        self.until(lambda: f'"{action}"' in self._err.read_text(encoding="utf-8"))

    def stop(self, number: signal.Signals = signal.SIGTERM) -> Ended:
        """Sends a signal and waits for the end."""
        started = time.monotonic()
        self._process.send_signal(number)
        code = self._process.wait(STOP_S)
        return Ended(code, self._out.read_text(), self._err.read_text(), time.monotonic() - started)

    def stop_impatiently(self) -> int:
        """Sends one signal after the other until it ends; its exit code."""
        deadline = time.monotonic() + STOP_S
        while self._process.poll() is None:
            assert time.monotonic() < deadline, self._err.read_text()
            self._process.send_signal(signal.SIGTERM)
            time.sleep(0.0002)
        return self._process.wait()

    def ended(self) -> int:
        """Waits until it ends by itself; its exit code."""
        return self._process.wait(START_S)

    def peak_memory(self) -> float:
        """The most memory it has had so far, in MB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="utf-8")
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    def kill(self) -> None:
        """An end without warning, if it has not ended yet."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


class Sluice:
    """The command in a folder of its own. It does not inherit settings of the test process."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.folder = folder
        others = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
        self._environment = others | {f"SLUICE_{name}": str(value) for name, value in settings.items()}

    def run(self, *arguments: str, timeout_s: float = START_S) -> Ended:
        """Runs a command to its end."""
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="sluice-command-") as written:
            out, err = Path(written, "out"), Path(written, "err")
            code = forking.run(arguments, self.folder, self._environment, out, err, timeout_s)
            return Ended(code, out.read_text(), err.read_text(), time.monotonic() - started)

    def run_into_a_closed_pipe(self, *arguments: str) -> Ended:
        """Runs a command whose standard output nobody reads."""
        reading, writing = os.pipe()
        os.close(reading)
        try:
            done = subprocess.run(  # noqa: S603 - our own words
                [SLUICE, *arguments],
                cwd=self.folder,
                env=self._environment,
                stdout=writing,
                stderr=subprocess.PIPE,
                text=True,
                timeout=START_S,
                check=False,
            )
        finally:
            os.close(writing)
        return Ended(done.returncode, "", done.stderr, 0)

    @contextmanager
    def running(self, *arguments: str) -> Iterator[Running]:
        """Starts a command that goes on until it is stopped."""
        out, err = self.folder / "out", self.folder / "err"
        with out.open("w") as out_file, err.open("w") as err_file:
            process = subprocess.Popen(  # noqa: S603 - our own words
                [SLUICE, *arguments],
                cwd=self.folder,
                env=self._environment,
                stdout=out_file,
                stderr=err_file,
                text=True,
            )
        running = Running(process, out, err)
        try:
            yield running
        finally:
            running.kill()
