"""Real Apache Kafka for tests and benchmarks: fetched by Maven, one KRaft broker, no Docker."""

import fcntl
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import pytest

_ROOT: Final = Path(__file__).resolve().parents[2]
_POM: Final = _ROOT / "deploy" / "kafka" / "pom.xml"
_JARS: Final = _ROOT / ".sluice" / "kafka"
_READY_S: Final = 60.0
_DOORS: Final = 11

_PROPERTIES: Final = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},{doors},{logins}CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},{logins}{told}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,{protocols},{secured}CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={data}
num.partitions=4
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.cleaner.backoff.ms=1000
message.max.bytes=2097152
"""


class KafkaUnavailable(Exception):  # noqa: N818
    """Java, Maven or the archive is missing; the message says which."""


def jars() -> Path:
    """The folder with Kafka's jars; fetched once, which takes some seconds.

    Raises:
        KafkaUnavailable: Java or Maven is missing, or nothing could be fetched.
    """
    for tool in ("java", "mvn"):
        if shutil.which(tool) is None:
            raise KafkaUnavailable(f"real Kafka needs {tool}, which is not installed")
    _JARS.parent.mkdir(exist_ok=True)
    # Several processes of one test run want them at once.
    with (_JARS.parent / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _fetch()
    return _JARS


def _fetch() -> None:
    stamp = _JARS / "complete"
    wanted = _POM.read_text(encoding="utf-8")
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return
    shutil.rmtree(_JARS, ignore_errors=True)
    command = ["mvn", "-q", "-B", "-f", str(_POM), "dependency:copy-dependencies", f"-DoutputDirectory={_JARS}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    if done.returncode != 0:
        raise KafkaUnavailable(f"Maven could not fetch Kafka: {done.stdout[-500:]}")
    stamp.write_text(wanted, encoding="utf-8")


def demand() -> None:
    """Makes sure that Kafka can be had: otherwise the test is skipped, or fails where it is required."""
    try:
        jars()
    except KafkaUnavailable as error:
        if required():
            pytest.fail(str(error))
        pytest.skip(str(error))


class Door(NamedTuple):
    """A port the broker listens on that tells its clients to come to `told`: there a test may put a proxy."""

    port: int
    told: int


_END_S: Final = 30.0


class KafkaServer:
    """One broker on a fixed port, with its data in `folder`; it can be killed and started again, paused and woken.

    A client of one of the `doors` is told to use another port from then on. `logins`: names of listeners that ask for
    TLS and a login, which `extra` has to configure.
    """

    def __init__(self, folder: Path, extra: str = "", logins: Sequence[str] = ()) -> None:
        self._classpath = f"{jars()}/*"
        self._folder = folder
        self._port, controller, *ports = _free_ports(2 + 2 * _DOORS + len(logins))
        self._properties = folder / "server.properties"
        self.logins = {name: f"127.0.0.1:{ports.pop()}" for name in logins}
        self.doors = [Door(*pair) for pair in zip(ports[::2], ports[1::2], strict=True)]
        properties = _PROPERTIES.format(
            port=self._port,
            doors=",".join(f"DOOR{n}://127.0.0.1:{door.port}" for n, door in enumerate(self.doors)),
            told=",".join(f"DOOR{n}://127.0.0.1:{door.told}" for n, door in enumerate(self.doors)),
            protocols=",".join(f"DOOR{n}:PLAINTEXT" for n in range(_DOORS)),
            logins="".join(f"{name}://{place}," for name, place in self.logins.items()),
            secured="".join(f"{name}:SASL_SSL," for name in self.logins),
            controller=controller,
            data=folder / "data",
        )
        self._properties.write_text(f"{properties}\n{extra}\n", encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None
        cluster = uuid.uuid4().hex[:22]
        self._run("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self._properties))

    @property
    def folder(self) -> Path:
        """Where its data is."""
        return self._folder

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        """Returns once the broker accepts connections.

        Raises:
            RuntimeError: it ended, or was not ready within a minute; with the end of its log.
        """
        with (self._folder / "log").open("ab") as log:
            command = [*self._java(), "kafka.Kafka", str(self._properties)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)  # noqa: S603
        deadline = time.monotonic() + _READY_S
        while not self._accepts():
            if self._process.poll() is not None or time.monotonic() > deadline:
                tail = (self._folder / "log").read_text(encoding="utf-8", errors="replace")[-2000:]
                raise RuntimeError(f"Kafka did not start:\n{tail}")
            time.sleep(0.05)

    def kill(self) -> None:
        """An end without warning."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(timeout=_END_S)
        self._process = None

    def pause(self) -> None:
        """From now on it accepts connections, and answers nobody."""
        self._send(signal.SIGSTOP)

    def wake(self) -> None:
        """Goes on where it was paused."""
        self._send(signal.SIGCONT)

    def _send(self, what: signal.Signals) -> None:
        if self._process is None:
            raise RuntimeError("the broker does not run")
        self._process.send_signal(what)

    def _accepts(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(0.5)
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

    def _java(self) -> list[str]:
        flags = ["-Xmx512m", "-Xshare:auto", "-XX:TieredStopAtLevel=1"]
        return [shutil.which("java") or "java", *flags, "-cp", self._classpath]

    def _run(self, *arguments: str) -> None:
        command = [*self._java(), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
        if done.returncode != 0:
            raise RuntimeError(f"{arguments[0]} failed: {done.stdout[-1000:]}{done.stderr[-1000:]}")


@contextmanager
def real_kafka(extra: str = "", logins: Sequence[str] = ()) -> Iterator[KafkaServer]:
    """A started broker in a temporary folder; `extra` are further lines of its server.properties."""
    with tempfile.TemporaryDirectory(prefix="sluice-kafka-", ignore_cleanup_errors=True) as folder:
        server = KafkaServer(Path(folder), extra, logins)
        server.start()
        try:
            yield server
        finally:
            server.kill()


def required() -> bool:
    """Whether a missing Kafka is a failure: everywhere but on a person's own machine."""
    return os.environ.get("CI", "") not in ("", "0", "false")


def _free_ports(number: int) -> list[int]:
    # Not those the system gives to clients: while a broker is down, a client could get one, or even connect to itself.
    found: list[int] = []
    for port in random.sample(range(10_000, 32_000), 100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                found.append(port)
        if len(found) == number:
            return found
    raise RuntimeError(f"of a hundred ports only {len(found)} are free, {number} are needed")
