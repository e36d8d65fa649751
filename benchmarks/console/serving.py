"""A console in a process of its own, beside an embedded broker and idle workers, and somebody who is signed in."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import asyncpg
import httpx

from console.access import Access
from console.person import Person
from console.process import console_postgres
from console.visitor import SESSION_COOKIE
from schemas.topics import EVERY_TOPIC
from workers.app.settings import load_settings
from workers.dev.broker import guarded_broker
from workers.process.http_server import listening

_SLUICE: Final = Path(sys.executable).with_name("sluice")
_HASH_KEY: Final = "ab" * 31 + "cd"
_PATIENCE_S: Final = 90.0


class Served(NamedTuple):
    """The console: where it is, its broker, its process, and what its one user shows."""

    url: str
    bootstrap: str
    process: int
    session: str
    token: str

    def client(self) -> httpx.AsyncClient:
        """A client that pages and calls know. Its pages are those of a browser with a session."""
        return httpx.AsyncClient(
            base_url=self.url,
            cookies={SESSION_COOKIE: self.session},
            headers={"authorization": f"Bearer {self.token}"},
            timeout=60,
            trust_env=False,
            limits=httpx.Limits(max_connections=None),
        )


@contextmanager
def served(database: str) -> Iterator[Served]:
    """Serves until the end of the context.

    Raises:
        SystemExit: the console did not begin to answer.
    """
    bound = listening("127.0.0.1", 0)
    bound.listen()
    bootstrap = f"127.0.0.1:{bound.getsockname()[1]}"
    port = _free_port()
    environment = os.environ | {
        "SLUICE_DATABASE_URL": database,
        "SLUICE_KAFKA_BOOTSTRAP": bootstrap,
        "SLUICE_HASH_KEY": _HASH_KEY,
    }
    asyncio.run(_forget_topics(database))
    session, token = asyncio.run(_user(database, bootstrap))
    with (
        guarded_broker(bound, EVERY_TOPIC),
        _running(environment, "worker", "all"),
        _running(environment, "serve", "--port", str(port)) as console,
    ):
        url = f"http://127.0.0.1:{port}"
        _await(url, console)
        yield Served(url, bootstrap, console.pid, session, token)


async def _forget_topics(database: str) -> None:
    """The topics are new, the database is kept: workers would wait for the records behind those of the last run."""
    connection = await asyncpg.connect(database)
    try:
        await connection.execute("DELETE FROM sluice_core.progress")
    finally:
        await connection.close()


async def _user(database: str, bootstrap: str) -> tuple[str, str]:
    postgres = console_postgres(load_settings(database_url=database, kafka_bootstrap=bootstrap, hash_key=_HASH_KEY))
    try:
        access = Access(postgres)
        await access.keep_user(Person("bench", "owner", [], is_operator=True))
        token = await access.add_token(Person(f"bench {time.time()}", "owner", [], is_operator=True))
        session = await access.by_link(str(await access.link("bench")))
    finally:
        await postgres.stop()
    if session is None or token is None:
        raise SystemExit("the user of the benchmark cannot sign in")
    return session, token


async def tokens(database: str, console: Served, number: int) -> list[str]:
    """Tokens of different people, who see everything."""
    settings = load_settings(database_url=database, kafka_bootstrap=console.bootstrap, hash_key=_HASH_KEY)
    postgres = console_postgres(settings)
    try:
        access = Access(postgres)
        people = [Person(f"bench {time.time()} {n}", "owner", [], is_operator=True) for n in range(number)]
        return [token for person in people if (token := await access.add_token(person))]
    finally:
        await postgres.stop()


@contextmanager
def _running(environment: dict[str, str], *command: str) -> "Iterator[subprocess.Popen[bytes]]":
    with (
        tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder,
        Path(folder, "log").open("w") as log,
        subprocess.Popen([_SLUICE, *command], env=environment, cwd=folder, stdout=log, stderr=log) as process,  # noqa: S603
    ):
        try:
            yield process
            if process.poll() is not None:
                raise SystemExit(Path(folder, "log").read_text(encoding="utf-8")[-2000:])
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()


def _await(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(f"{url}/login", trust_env=False)
        except httpx.TransportError:
            time.sleep(0.2)
        else:
            return
    raise SystemExit("the console does not answer")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def memory_mib(process: int) -> float:
    """The most memory that a process has had, in MiB."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def cpu_s(process: int) -> float:
    """Seconds that a process has computed."""
    fields: Sequence[str] = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
