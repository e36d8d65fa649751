"""A server that is away: logged once, waited for within the bound; then the process ends."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from structlog.testing import capture_logs

from schemas.topics import TOPICS
from tests.cli.commands import Sluice
from tests.faults.proxy import Proxy, proxy, socket_of, through
from tests.support.brokers import Broker
from tests.support.processes import settings_for
from workers.app import supervisor
from workers.app.composition import ALL, plan_of
from workers.app.settings import Settings
from workers.errors import ExitCode, SetupError, Unreachable
from workers.process.liveness import LivenessProbe

BOUND_S: Final = 3.0
LATE_S: Final = 6.0
"""Between giving up and the end: what is in flight is given up, on a busy machine."""

Logs = list[MutableMapping[str, Any]]


class Gone(Exception):  # noqa: N818 - a state, not a mistake
    """A server that is not there."""


@asynccontextmanager
async def refusing() -> AsyncIterator[int]:
    """A port at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@asynccontextmanager
async def silent() -> AsyncIterator[int]:
    """A port at which somebody listens who never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


Away = Callable[[], AbstractAsyncContextManager[int]]
AWAY: Final = pytest.mark.parametrize("away", [refusing, silent])


async def seconds_until_it_ended(settings: Settings, server: str) -> float:
    """How long a process of all workers bore that this server is away; it says so, and with which words."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    with capture_logs() as logs:
        code = await asyncio.wait_for(supervisor.run(settings, plan_of([ALL]), asyncio.Event()), 60)
    assert code is ExitCode.FAULT
    _told_once(logs, server)
    return loop.time() - began


def _told_once(logs: Logs, server: str) -> None:
    loud = [log for log in logs if {log.get("log_level"), log.get("level")} & {"warning", "error"}]
    loud = [log for log in loud if log["action"] != "connection_lost"]  # says whose transaction is run again
    assert [(log["action"], log.get("server")) for log in loud] == [("server_away", server), ("unreachable", None)], (
        logs
    )
    assert loud[0]["event"] == f"{server} is away; waiting for it for {BOUND_S:g} s at most."
    assert f"{server} did not answer for {BOUND_S:g} s" in loud[1]["event"]


@AWAY
async def test_postgresql_that_is_away_at_the_start_is_waited_for_as_long_as_told(away: Away, broker: Broker) -> None:
    async with away() as port:
        nowhere = settings_for(f"postgresql://u@127.0.0.1:{port}/d", broker, unreachable_after_s=BOUND_S)
        assert BOUND_S <= await seconds_until_it_ended(nowhere, "PostgreSQL") < BOUND_S + LATE_S


@AWAY
async def test_kafka_that_is_away_at_the_start_is_waited_for_as_long_as_told(away: Away, database: str) -> None:
    async with away() as port:
        nowhere = settings_for(database, Broker("embedded", f"127.0.0.1:{port}"), unreachable_after_s=BOUND_S)
        assert BOUND_S <= await seconds_until_it_ended(nowhere, "Kafka") < BOUND_S + LATE_S


async def seconds_from(went: Callable[[], object], sluice: Sluice, server: str) -> float:
    """The same of a server that goes away while all are at work, until the process has ended."""
    with sluice.running("worker", "all") as running:
        await asyncio.to_thread(running.until_consuming)
        began = asyncio.get_running_loop().time()
        went()
        assert await asyncio.to_thread(running.ended) == ExitCode.FAULT
        seconds = asyncio.get_running_loop().time() - began
    told = (sluice.folder / "err").read_text(encoding="utf-8")
    assert "Traceback" not in told
    _told_once([json.loads(line) for line in told.splitlines()], server)
    return seconds


def sluice_of(folder: Path, database: str, broker: Broker) -> Sluice:
    return Sluice(folder, DATABASE_URL=database, KAFKA_BOOTSTRAP=broker.bootstrap, UNREACHABLE_AFTER_S=BOUND_S)


def swallowing(network: Proxy) -> None:
    network.down.swallow()


def cut(network: Proxy) -> None:
    network.target = "/nowhere"
    network.reset()


@pytest.mark.parametrize("treatment", [swallowing, cut])
async def test_postgresql_that_goes_away_ends_the_process_as_soon_as_told(
    treatment: Callable[[Proxy], None], database: str, broker: Broker, tmp_path: Path
) -> None:
    await broker.create(*TOPICS)
    async with proxy(socket_of(database)) as network:
        sluice = sluice_of(tmp_path, through(network, database), broker)
        seconds = await seconds_from(partial(treatment, network), sluice, "PostgreSQL")
    assert BOUND_S <= seconds < BOUND_S + LATE_S


@pytest.fixture
def broker_process() -> Iterator[tuple[Broker, "subprocess.Popen[str]"]]:
    """A broker in a process of its own, which can be stopped and killed."""
    code = (
        "import sys\n"
        "from workers.dev.broker import embedded_broker\n"
        "with embedded_broker() as bootstrap:\n"
        "    print(bootstrap, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(  # noqa: S603 - our own words
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield Broker("embedded", process.stdout.readline().strip()), process
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
async def test_kafka_that_goes_away_ends_the_process_as_soon_as_told(
    number: signal.Signals, database: str, broker_process: tuple[Broker, "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    broker, process = broker_process
    await broker.create(*TOPICS)
    sluice = sluice_of(tmp_path, database, broker)
    seconds = await seconds_from(partial(process.send_signal, number), sluice, "Kafka")
    assert BOUND_S <= seconds < BOUND_S + LATE_S


@contextmanager
def stopped(process: "subprocess.Popen[str]") -> Iterator[None]:
    """Stands still while the block lasts."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


async def test_a_server_that_comes_back_is_said_to_be_back_once(
    database: str, broker_process: tuple[Broker, "subprocess.Popen[str]"]
) -> None:
    broker, process = broker_process
    await broker.create(*TOPICS)
    ready, stop = asyncio.Event(), asyncio.Event()
    settings = settings_for(database, broker, unreachable_after_s=30.0)
    with capture_logs() as logs:
        running = asyncio.create_task(supervisor.run(settings, plan_of([ALL]), stop, ready=ready.set))
        await asyncio.wait_for(ready.wait(), 40)
        with stopped(process):
            await _logged(logs, "server_away")
        await _logged(logs, "server_back")
        stop.set()
        assert await asyncio.wait_for(running, 40) is ExitCode.CLEAN
    told = [(log["action"], log["server"]) for log in logs if log["action"].startswith("server_")]
    assert told == [("server_away", "Kafka"), ("server_back", "Kafka")]


async def _logged(logs: Logs, action: str) -> None:
    async with asyncio.timeout(40):
        while not any(log["action"] == action for log in logs):  # noqa: ASYNC110 - nothing to wait on
            await asyncio.sleep(0.02)


# --- the rule itself


async def answered(*missing: Exception, bound_s: float = 0.5) -> tuple[str, Logs]:
    """What comes of asking a server that fails so often first."""
    left = list(missing)

    async def question() -> str:
        if left:
            raise left.pop(0)
        return "here"

    with capture_logs() as logs:
        return await LivenessProbe("X", (Gone, SetupError), bound_s).answer(question), logs


async def test_who_answers_at_once_is_not_talked_of() -> None:
    assert await answered() == ("here", [])


async def test_who_was_away_is_talked_of_twice() -> None:
    answer, logs = await answered(Gone("a"), Gone("b"), Gone("c"))
    assert answer == "here"
    assert [(log["action"], log["log_level"]) for log in logs] == [("server_away", "warning"), ("server_back", "info")]
    assert logs[0]["error"] == "a"


async def test_what_stands_in_the_way_to_the_end_is_the_reason() -> None:
    with pytest.raises(Unreachable, match=r"X did not answer for 0\.2 s: no"):
        await answered(*[Gone("no")] * 1_000, bound_s=0.2)
    with pytest.raises(SetupError, match="the key is wrong"):
        await answered(Gone("no"), *[SetupError("the key is wrong")] * 1_000, bound_s=0.2)


async def test_what_is_no_sign_of_absence_is_raised_at_once() -> None:
    with pytest.raises(ZeroDivisionError):
        await answered(ZeroDivisionError())


async def test_a_question_that_is_never_answered_is_asked_again() -> None:
    asked = 0

    async def question() -> Awaitable[None] | int:
        nonlocal asked
        asked += 1
        return await asyncio.get_running_loop().create_future() if asked == 1 else asked

    assert await LivenessProbe("X", (Gone,), 1.5).answer(question) == 2
