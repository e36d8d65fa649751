"""`make bench`: the inbound worker against the bare floor, on real Kafka and PostgreSQL, interleaved, as a ratio."""

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import asyncpg
import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks import floor, inbound
from benchmarks.load import TOPIC, create_topics, fill
from benchmarks.result import Result
from tests.support.kafka import real_kafka
from workers.dev.postgres import embedded_postgres
from workers.store.migrate import migrate

OUTPUTS = ("messages.accepted", "messages.dropped", "messages.revised", "dead.letters", "floor")
PREFIX = "bench."
console = Console()


def main() -> None:
    """Parse the command line; measure one side in a process of its own, or everything."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds (default 3)")
    parser.add_argument("--messages", type=int, default=100_000, help="messages a round (default 100,000)")
    parser.add_argument("--backlog", type=int, default=0, help="then one round over so many messages, for memory")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/latest.json"), help="where the figures go")
    parser.add_argument(
        "--side", nargs=5, metavar=("NAME", "BOOTSTRAP", "DATABASE", "GROUP", "COUNT"), help=argparse.SUPPRESS
    )
    args = parser.parse_args()
    if args.side:
        print(msgspec.json.encode(asyncio.run(_side(*args.side))).decode())
    else:
        _compare(args.rounds, args.messages, args.backlog, args.json)


async def _side(name: str, bootstrap: str, database: str, group: str, count: str) -> Result:
    if name == "floor":
        return await floor.measure(bootstrap, database, PREFIX + TOPIC, PREFIX + "floor", group, int(count))
    return await inbound.measure(bootstrap, database, PREFIX, group, int(count))


def _compare(rounds: int, messages: int, backlog: int, target: Path) -> None:
    results: list[Result] = []
    durable = {"max_wal_size": "4GB"}
    with (
        tempfile.TemporaryDirectory(prefix="sluice-bench-", ignore_cleanup_errors=True) as folder,
        embedded_postgres(Path(folder) / "data", durable) as postgres,
        real_kafka() as kafka,
    ):
        asyncio.run(create_topics(kafka.bootstrap, PREFIX, TOPIC, *OUTPUTS))
        with console.status(f"producing {messages:,} messages"):
            asyncio.run(fill(kafka.bootstrap, PREFIX + TOPIC, messages))
        for number in range(rounds):
            for side in ("floor", "sluice"):
                with console.status(f"round {number + 1} of {rounds}: {side}"):
                    results.append(_measured(side, kafka.bootstrap, postgres, f"{side}{number}", messages))
                console.print(f"round {number + 1} {side:>7}: {results[-1].rate:>9,.0f} msg/s")
        if backlog:
            with console.status(f"producing a backlog of {backlog:,}"):
                asyncio.run(fill(kafka.bootstrap, PREFIX + TOPIC, backlog - messages, first=messages))
            results.append(_measured("sluice", kafka.bootstrap, postgres, "backlog", backlog))
    _report(results, rounds, target)


def _measured(side: str, bootstrap: str, postgres: str, name: str, count: int) -> Result:
    database = asyncio.run(_database(postgres, name))
    command = [sys.executable, "-m", "benchmarks", "--side", side, bootstrap, database, name, str(count)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=600)  # noqa: S603
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Result)


async def _database(postgres: str, name: str) -> str:
    connection = await asyncpg.connect(postgres)
    await connection.execute(f"CREATE DATABASE bench_{name}")
    await connection.close()
    url = postgres.replace("/postgres?", f"/bench_{name}?")
    await migrate(url)
    return url


def _report(results: list[Result], rounds: int, target: Path) -> None:
    measured = results[: 2 * rounds]
    table = Table(title="Inbound, every rule on, against the bare floor (medians)")
    for column in ("", "msg/s", "ratio", "CPU-s per 100,000", "peak MB"):
        table.add_column(column, justify="left" if not column else "right")
    sides = {s: [r for r in measured if r.name == s] for s in ("floor", "sluice")}
    ratio = statistics.median(s.rate / f.rate for f, s in zip(sides["floor"], sides["sluice"], strict=True))
    for name, rows in sides.items():
        rate, cpu, memory = (statistics.median(getattr(r, a) for r in rows) for a in ("rate", "cpu", "memory"))
        table.add_row(
            name, f"{rate:,.0f}", f"{ratio:.2f}" if name == "sluice" else "1.00", f"{cpu:.2f}", f"{memory:.0f}"
        )
    for extra in results[2 * rounds :]:
        label = f"sluice, backlog of {extra.messages:,}"
        table.add_row(label, f"{extra.rate:,.0f}", "", f"{extra.cpu:.2f}", f"{extra.memory:.0f}")
    console.print(table)
    figures = {"ratio": round(ratio, 3), "results": results}
    target.write_bytes(msgspec.json.format(msgspec.json.encode(figures)) + b"\n")
    console.print(f"The figures are in {target}.")


main()
