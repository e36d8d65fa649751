"""Measures receiver and sender beside their floors, on real Kafka and PostgreSQL, and prints a table."""

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final
from uuid import uuid4

from aiokafka import AIOKafkaProducer
from rich.console import Console
from rich.table import Table

from benchmarks.connectors import channels
from benchmarks.stage import Past, Stage, stage
from workers.app.composition import plan_of
from workers.app.settings import load_settings
from workers.app.supervisor import run

ROUNDS: Final = 3
_WEBHOOKS: Final = 20_000
_SENDS: Final = 3_000
_CONNECTIONS: Final = 64
_STEADY: Final = 300
_STEADY_S: Final = 20
_SLUICE: Final = Path(sys.executable).with_name("sluice")
_ROOT: Final = Path(__file__).resolve().parents[2]


class Bench:
    """One run: its servers, and what was measured, by the name of what it is."""

    def __init__(self, servers: Stage, provider_port: int) -> None:
        self._servers = servers
        self._port = provider_port
        self.found: dict[str, list[float]] = defaultdict(list)
        channels.write(servers.folder, provider_port)

    def receive(self, number: int, count: int) -> None:
        """Floor and receiver, each with topics of its own."""
        floor = self._python(f"floor-in-{number}.", None, "benchmarks.connectors.floors", "produce", str(count))
        self.found["floor: parse, produce"].append(count / float(floor.splitlines()[-1]))
        prefix = f"in-{number}."
        self._servers.topics(prefix)
        port = _free_port()
        with self._sluice(prefix, None, "receive", "--port", str(port)) as process:
            _await_port(port)
            told = self._load(port, count, 0)
            self.found["receive"].append(count / told["seconds"])
            steady = self._load(port, _STEADY * _STEADY_S, _STEADY)
            self.found[f"receive, {_STEADY} a second: p50 ms"].append(steady["p50"])
            self.found[f"receive, {_STEADY} a second: p99 ms"].append(steady["p99"])
            self.found["receive: memory MiB"].append(_peak_mib(process.pid))

    def send(self, number: int, count: int) -> None:
        """Floor and sender read the same dispatches."""
        prefix, name = f"out-{number}.", f"bench_out_{number}"
        self._servers.topics(prefix)
        database = self._servers.database(name, Past())
        asyncio.run(self._dispatch(prefix, database, count))
        url = channels.API.format(port=self._port)
        floor = self._python(prefix, None, "benchmarks.connectors.floors", "call", str(count), url)
        self.found["floor: consume, call"].append(count / float(floor.splitlines()[-1]))
        with self._sluice(prefix, database, "send") as process:
            self.found["send"].append(count / self._receipts(prefix, count))
            self.found["send: memory MiB"].append(_peak_mib(process.pid))
        self._servers.drop(name)

    async def _dispatch(self, prefix: str, database: str, count: int) -> None:
        """Requests, judged and dispatched by the worker."""
        settings = load_settings(
            database_url=database,
            kafka_bootstrap=self._servers.bootstrap,
            topic_prefix=prefix,
            hash_key="ab" * 31 + "cd",
        )
        stop = asyncio.Event()
        working = asyncio.create_task(run(settings, plan_of(["outbound"]), stop))
        async with AIOKafkaProducer(bootstrap_servers=self._servers.bootstrap, acks="all") as producer:
            sent = [await producer.send(f"{prefix}messages.outbound", *_request(n)) for n in range(count)]
            await asyncio.gather(*sent)
        while sum(await asyncio.to_thread(self._ends, prefix, "sends.dispatch")) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        stop.set()
        await working

    def _receipts(self, prefix: str, count: int) -> float:
        """Seconds from the first receipt to the last."""
        deadline, began, first = time.monotonic() + 180, 0.0, 0
        while True:
            done = sum(self._ends(prefix, "messages.receipts"))
            if done and not began:
                began, first = time.monotonic(), done
            if done >= count:
                return (time.monotonic() - began) * count / (count - first)
            if time.monotonic() > deadline:
                raise SystemExit(f"only {done} of {count} receipts came")
            time.sleep(0.02)

    def _ends(self, prefix: str, topic: str) -> Sequence[int]:
        return list(self._servers.offsets.ends([prefix + topic]).values())

    def _load(self, port: int, count: int, rate: float) -> dict[str, Any]:
        command = ("benchmarks.connectors.webhooks", str(port), str(count), str(_CONNECTIONS), str(rate))
        told: dict[str, Any] = json.loads(self._python("", None, *command))
        if set(told["statuses"]) != {"200"}:
            raise SystemExit(f"the receiver answered {told['statuses']}")
        return told

    def _python(self, prefix: str, database: str | None, *command: str) -> str:
        if prefix:
            self._servers.topics(prefix)
        ended = subprocess.run(  # noqa: S603 - our own words
            [sys.executable, "-m", *command],
            env=self._environment(prefix, database) | {"PYTHONPATH": str(_ROOT)},
            cwd=self._servers.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode:
            raise SystemExit(ended.stderr)
        return ended.stdout

    @contextmanager
    def _sluice(self, prefix: str, database: str | None, *command: str) -> "Iterator[subprocess.Popen[bytes]]":
        log = self._servers.folder / f"{command[0]}.log"
        with (
            log.open("w") as out,
            subprocess.Popen(  # noqa: S603 - our own words
                [_SLUICE, *command], env=self._environment(prefix, database), cwd=self._servers.folder, stderr=out
            ) as process,
        ):
            try:
                yield process
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(40)

    def _environment(self, prefix: str, database: str | None) -> dict[str, str]:
        own = {
            "SLUICE_KAFKA_BOOTSTRAP": self._servers.bootstrap,
            "SLUICE_TOPIC_PREFIX": prefix,
            "SLUICE_GROUP_PREFIX": prefix.strip(".") or "sluice",
            "SLUICE_CHANNELS_FILE": channels.FILE,
        }
        return {**os.environ, **channels.SECRETS, **own, **({"SLUICE_DATABASE_URL": database} if database else {})}


def _request(number: int) -> tuple[bytes, bytes]:
    address = f"+49151{number:08}"
    send = {
        "send_id": str(uuid4()),
        "workspace_id": "bench",
        "channel_id": "whatsapp",
        "channel": "whatsapp",
        "to": {"address": address},
        "content": {"type": "text", "text": f"Your parcel {number} is on its way. Have a nice day!"},
        "requested_at": datetime.now(UTC).isoformat(),
        "requested_by": {"id": "bench", "role": "system"},
        "source": "api",
    }
    return json.dumps(send).encode(), f"bench:whatsapp:{address}".encode()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await_port(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                time.sleep(0.5)
                return
        time.sleep(0.1)
    raise SystemExit("the receiver does not listen")


def _peak_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


@contextmanager
def _provider(folder: Path) -> Iterator[int]:
    channels.write(folder, 1)
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.connectors.provider"],
        env={**os.environ, **channels.SECRETS, "PYTHONPATH": str(_ROOT)},
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


def main() -> None:
    """Measures, round by round, and prints medians."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.connectors", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--scale", type=float, default=1.0, help="a share of the work, to try something out: 0.1")
    parser.add_argument("--only", choices=("receive", "send"))
    arguments = parser.parse_args()
    with stage() as servers, _provider(servers.folder) as port:
        bench = Bench(servers, port)
        for number in range(arguments.rounds):
            if arguments.only != "send":
                bench.receive(number, int(_WEBHOOKS * arguments.scale))
            if arguments.only != "receive":
                bench.send(number, int(_SENDS * arguments.scale))
    table = Table("what", "median", "rounds")
    for name, values in bench.found.items():
        table.add_row(name, f"{median(values):,.1f}", ", ".join(f"{value:,.1f}" for value in values))
    Console(width=None if sys.stdout.isatty() else 120).print(table)


if __name__ == "__main__":
    main()
