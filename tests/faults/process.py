"""Workers as processes of their own, which a test may pause, kill and start again.

`python -m tests.faults.process PLAN` runs what `sluice worker PLAN` runs (`book`: the ledger book's worker; `deadly`:
the same, but a number ends its process at once, without a word, and another keeps it computing for ever; several names:
with commas between them), told by the same SLUICE_… variables, and brings a fault upon itself where FAULT_AT says so:
see `Fault`. FAULT_HURRY: jobs and compaction repair run so often, in seconds. FAULT_PATIENCE: so long the database
bears transactions that stand still (`300s`). FAULT_DEADLINE: the seconds in which a publication must be acknowledged.
FAULT_CLOCK: a clock that jumps, see tests/faults/clocks.py. FAULT_STEPS: closing takes short steps.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from tests.faults.clocks import bend
from tests.faults.short_steps import shorten
from workers.errors import ExitCode

ROOT: Final = Path(__file__).resolve().parents[2]
PATIENCE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Fault:
    """A signal the process sends to itself when it gets to a point for the `time`-th time.

    `at` is a point of the commit order (see tests/support/__init__.py), or `statement`: the `time`-th SQL statement
    after the fence of a transaction has been answered, or `sql WORDS`: one that has these words in it or among its
    arguments, or `sending`: before a batch of outputs is handed to the producer, or `acknowledged`: one has been, while
    others may not.
    """

    at: str
    time: int = 1
    send: signal.Signals = signal.SIGKILL

    def environment(self) -> dict[str, str]:
        """What tells the process."""
        return {"FAULT_AT": self.at, "FAULT_TIME": str(self.time), "FAULT_SEND": self.send.name}

    @classmethod
    def told(cls) -> "Fault | None":
        """What this process was told."""
        at = os.environ.get("FAULT_AT")
        if at is None:
            return None
        return cls(at, int(os.environ["FAULT_TIME"]), signal.Signals[os.environ["FAULT_SEND"]])


class Handle(Protocol):
    """A child process, as asyncio knows it."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    def send_signal(self, signal: int, /) -> None: ...
    async def wait(self) -> int: ...


class WorkerProcess:
    """One worker process. Its log lines are JSON in the file `log`."""

    def __init__(self, process: Handle, log: Path) -> None:
        self._process = process
        self.log = log
        self._logged: list[dict[str, Any]] = []
        self._read = 0

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def code(self) -> int | None:
        """How it ended: an exit code, or a signal's negative number; None while it runs."""
        return self._process.returncode

    def send(self, number: signal.Signals) -> None:
        """Sends a signal; nothing happens if the process has ended."""
        if self.code is None:
            self._process.send_signal(number)

    def logged(self) -> list[dict[str, Any]]:
        """The log so far. It may be long, and is asked for often: each line is read once."""
        with self.log.open("rb") as log:
            log.seek(self._read)
            new = log.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        self._logged += [json.loads(line) for line in whole.splitlines() if line.startswith(b"{")]
        return self._logged

    def said(self, action: str) -> bool:
        """There is a log line with that action."""
        return any(line.get("action") == action for line in self.logged())

    async def has_logged(self, action: str, timeout_s: float = PATIENCE_S) -> None:
        """Waits for a log line with that action.

        Raises:
            AssertionError: the process ended, or did not say so in time; with the end of its log.
        """
        await self._until(lambda: self.said(action), timeout_s, action)

    async def is_paused(self, timeout_s: float = PATIENCE_S) -> None:
        """Waits until the process stands still."""
        status = Path(f"/proc/{self.pid}/stat")
        await self._until(lambda: status.read_text().rpartition(")")[2].split()[0] == "T", timeout_s, "pause")

    async def _until(self, true: Callable[[], bool], timeout_s: float, what: str) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while not true():
            assert self.code is None, f"ended with {self.code} before: {what}\n{self.tail()}"
            assert loop.time() < deadline, f"not in {timeout_s:g} s: {what}\n{self.tail()}"
            await asyncio.sleep(0.02)

    async def ended(self, timeout_s: float = PATIENCE_S) -> int:
        """Waits for the end; the exit code, or the negative number of the signal that killed it."""
        try:
            return await asyncio.wait_for(self._process.wait(), timeout_s)
        except TimeoutError:
            raise AssertionError(f"still there after {timeout_s:g} s\n{self.tail()}") from None

    async def stop(self, timeout_s: float = 30.0) -> int:
        """SIGTERM, and the exit code it ends with."""
        self.send(signal.SIGTERM)
        return await self.ended(timeout_s)

    def tail(self) -> str:
        """The end of the log, for the report of a failure."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-4_000:]


async def start(plan: str, environment: Mapping[str, str], log: Path, fault: Fault | None = None) -> WorkerProcess:
    """Starts a worker process; `environment` are its SLUICE_… variables."""
    told = {name: value for name, value in os.environ.items() if not name.startswith(("SLUICE_", "FAULT_"))}
    told |= environment
    if fault is not None:
        told |= fault.environment()
    command = (sys.executable, "-m", "tests.faults.process", plan)
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=told, stdout=out, stderr=out)
    return WorkerProcess(process, log)


class Trigger:
    """Counts how often the process got to its point, and sends the signal the time it was told to."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault
        self._left = fault.time
        self._applying = False

    def reached(self, point: str) -> None:
        if point != self._fault.at:
            return
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), self._fault.send)

    async def probe(self, point: str) -> None:
        if self._fault.at == "statement" and point in ("fenced", "before_commit"):
            self._applying = point == "fenced"
            self._left = self._fault.time
        self.reached(point)

    def answered(self, words: str) -> None:
        if self._applying:
            self.reached("statement")
        if self._fault.at.startswith("sql ") and self._fault.at[4:] in words:
            self.reached(self._fault.at)

    def watch_statements(self) -> None:
        """Every statement is told of when it has been answered, and before the next one is sent."""
        import asyncpg
        from asyncpg import Connection

        connect: Callable[..., Awaitable[Any]] = asyncpg.connect
        copy: Callable[..., Awaitable[str]] = Connection.copy_records_to_table
        timed = Connection._time_and_log  # noqa: SLF001 - loggers themselves are called later

        async def watched(*arguments: Any, **others: Any) -> Any:
            made = await connect(*arguments, **others)
            made.add_query_logger(lambda _: None)
            return made

        @contextmanager
        def asked(connection: Any, query: str, arguments: Any, timeout: Any) -> Iterator[None]:
            with timed(connection, query, arguments, timeout):
                yield
            self.answered(f"{query} {arguments}")

        async def copied(*arguments: Any, **others: Any) -> str:
            result = await copy(*arguments, **others)
            self.answered("COPY")
            return result

        asyncpg.connect = watched  # the pool asks for it by this name each time
        Connection._time_and_log = asked  # type: ignore[method-assign, assignment]  # noqa: SLF001
        Connection.copy_records_to_table = copied  # type: ignore[method-assign]

    def watch_acknowledgements(self) -> None:
        """Every batch that the broker has acknowledged is told."""
        from aiokafka import AIOKafkaProducer

        send: Callable[..., Awaitable[asyncio.Future[Any]]] = AIOKafkaProducer.send_batch

        async def watched(*arguments: Any, **others: Any) -> asyncio.Future[Any]:
            self.reached("sending")
            sent = await send(*arguments, **others)
            sent.add_done_callback(lambda _: self.reached("acknowledged"))
            if self._fault.at == "acknowledged":
                await asyncio.wait({sent})  # the others have not been sent yet
            return sent

        AIOKafkaProducer.send_batch = watched  # type: ignore[method-assign]


DEADLY: Final = 666
ENDLESS: Final = 667


async def _deadly(tx: Any, batch: Any) -> Any:
    from tests.runtime.ledgerbook import apply

    outputs = await apply(tx, batch)
    if any(record.value == DEADLY for record in batch.records):
        os._exit(9)
    while any(record.value == ENDLESS for record in batch.records):
        pass
    return outputs


def _plan(name: str) -> Any:
    from tests.runtime.ledgerbook import OUTPUT, TOPIC, spec_of
    from workers.app.composition import plan_of
    from workers.app.supervisor import Plan

    if name == "book":
        return Plan([spec_of()], publishes=False, topics=(TOPIC, OUTPUT, "dead.letters"))
    if name == "deadly":
        return Plan([spec_of(_deadly)], publishes=False, topics=(TOPIC, OUTPUT, "dead.letters"))
    plan = plan_of(name.split(","))
    hurry = os.environ.get("FAULT_HURRY")
    if hurry is None:
        return plan
    from tests.support.processes import hurried

    return hurried(plan, float(hurry))


def main(plan: str) -> ExitCode:
    """The process."""
    from workers.app import supervisor
    from workers.app.settings import load_settings
    from workers.runtime.ports import Probe, no_probe

    settings = load_settings()
    _failed_with(os.environ.get("FAULT_PATIENCE"))
    _hasten(os.environ.get("FAULT_DEADLINE"))
    bend(os.environ.get("FAULT_CLOCK"))
    shorten(os.environ.get("FAULT_STEPS"))
    fault = Fault.told()
    probe: Probe = no_probe
    if fault is not None:
        trigger = Trigger(fault)
        probe = trigger.probe
        trigger.watch_statements()
        trigger.watch_acknowledgements()
    return supervisor.main(settings, _plan(plan), probe=probe)


def _failed_with(patience: str | None) -> None:
    from workers.store import pool

    if patience is not None:
        pool._SERVER_SETTINGS["idle_in_transaction_session_timeout"] = patience  # noqa: SLF001
        pool._SINCE_17["transaction_timeout"] = patience  # noqa: SLF001


def _hasten(deadline: str | None) -> None:
    from workers.kafka.producer import KafkaOutput

    if deadline is not None:
        defaults: dict[str, Any] = KafkaOutput.__init__.__kwdefaults__ or {}
        defaults["deadline_s"] = float(deadline)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
