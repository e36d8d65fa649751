"""The report: tables for people, one JSON file for machines."""

import os
import platform
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figures, goals
from benchmarks.promises import LACKING
from benchmarks.result import Latency, Throughput

_CPU: Final = "s per 100,000"


def show(console: Console, figures: Figures, about: dict[str, str]) -> None:
    """Prints every table there are figures for."""
    for table in (_throughput(figures, about), _latency(figures, about), _goals(figures), _lacking(figures)):
        if table.row_count:
            console.print(table)


def write(file: Path, figures: Figures) -> None:
    """Everything measured, and what follows from it."""
    content: dict[str, Any] = {
        "machine": {"cores": os.cpu_count(), "system": platform.system(), "python": platform.python_version()},
        "goals": [{"about": g.about, "reached": g.reached, "asked": g.bound, "met": g.met} for g in goals(figures)],
        "results": figures.results,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")


def _throughput(figures: Figures, about: dict[str, str]) -> Table:
    table = _table(
        "Throughput (medians of all rounds; ratios within each round)",
        "side", "", "records/s", "from - to", "to the floor",
        f"CPU {_CPU}: worker", "PostgreSQL", "Kafka", "WAL B", "disk B", "peak MB",
    )  # fmt: skip
    for side in _sides(figures, Throughput):
        rounds = list(figures.of(Throughput, side).values())
        rates = [r.rate for r in rounds]
        ratio = figures.ratio(side, "floor")
        table.add_row(
            side,
            about.get(side, ""),
            f"{statistics.median(rates):,.0f}",
            f"{min(rates):,.0f} - {max(rates):,.0f}",
            "" if ratio is None else f"{ratio:.3f}",
            *(f"{_median(rounds, value):,.2f}" for value in _CPUS),
            *(f"{_median(rounds, value):,.0f}" for value in _SIZES),
        )
    return table


_CPUS: Final[Sequence[Callable[[Throughput], float]]] = (
    lambda r: r.worker_cpu,
    lambda r: r.postgres_cpu,
    lambda r: r.kafka_cpu,
)
_SIZES: Final[Sequence[Callable[[Throughput], float]]] = (lambda r: r.wal, lambda r: r.disk, lambda r: r.memory)
_WAITS: Final[Sequence[Callable[[Latency], float]]] = (
    lambda r: r.p50,
    lambda r: r.p99,
    lambda r: r.p999,
    lambda r: r.worst,
    lambda r: r.worker_cpu,
)


def _latency(figures: Figures, about: dict[str, str]) -> Table:
    table = _table("Latency in ms, produced to readable (medians of all rounds)",
        "side", "", "records", "p50", "p99", "p99.9", "worst", "worker's CPU %",
    )  # fmt: skip
    for side in _sides(figures, Latency):
        rounds = list(figures.of(Latency, side).values())
        values = [f"{_median(rounds, value):,.1f}" for value in _WAITS]
        table.add_row(side, about.get(side, ""), f"{sum(r.records for r in rounds):,}", *values)
    return table


def _goals(figures: Figures) -> Table:
    table = _table("Goals", "", "reached", "asked for", "")
    for goal in goals(figures):
        table.add_row(goal.about, f"{goal.reached:,.3g}", goal.bound, "met" if goal.met else "[red]missed[/red]")
    return table


def _lacking(figures: Figures) -> Table:
    table = _table("What peers, as they are written here, do not promise and Sluice does", "not promised", "by")
    measured = set(_sides(figures, Throughput))
    for sentence, sides in LACKING.items():
        if found := [side for side in sides if side in measured]:
            table.add_row(sentence, ", ".join(found))
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 or not column else "right")
    return table


def _sides(figures: Figures, kind: type[Throughput] | type[Latency]) -> list[str]:
    return list(dict.fromkeys(r.side for r in figures.results if isinstance(r, kind)))


def _median(rounds: Iterable[Any], value: Callable[[Any], float]) -> float:
    return statistics.median(value(r) for r in rounds)
