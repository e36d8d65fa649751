"""Figures from the measurements: medians, ratios within each round, and the goals."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from benchmarks.result import Latency, Result, Throughput

R = TypeVar("R", Throughput, Latency)


class Figures:
    """All results of a run, by side and round."""

    def __init__(self, results: Iterable[Result]) -> None:
        self.results: Final = list(results)

    def of(self, kind: type[R], side: str) -> Mapping[int, R]:
        """A side's results by round."""
        return {r.round: r for r in self.results if isinstance(r, kind) and r.side == side}

    def median(self, side: str, value: Callable[[Throughput], float]) -> float | None:
        """The median over all rounds; None if the side was not measured."""
        found = [value(r) for r in self.of(Throughput, side).values()]
        return statistics.median(found) if found else None

    def ratio(self, side: str, to: str, value: Callable[[Throughput], float] = lambda r: r.rate) -> float | None:
        """The median of the ratios within each round."""
        return _median_ratio(self.of(Throughput, side), self.of(Throughput, to), value)

    def slower(self, side: str, to: str, value: Callable[[Latency], float]) -> float | None:
        """As `ratio`, for latencies."""
        return _median_ratio(self.of(Latency, side), self.of(Latency, to), value)

    def waiting(self, side: str, value: Callable[[Latency], float]) -> float | None:
        """The median of a latency over all rounds."""
        found = [value(r) for r in self.of(Latency, side).values()]
        return statistics.median(found) if found else None

    def best_per_message(self) -> str | None:
        """The fastest peer that handles one message at a time."""
        rates = {side: self.median(side, lambda r: r.rate) for side in PER_MESSAGE}
        measured = {side: rate for side, rate in rates.items() if rate is not None}
        return max(measured, key=measured.__getitem__, default=None)


PER_MESSAGE: Final = ("aiokafka-1", "aiokafka-16", "faststream-1", "faststream-16", "quix")


class Goal(NamedTuple):
    """`at_least` or `at_most` is the goal; `reached` is what was measured."""

    about: str
    reached: float
    at_least: float | None = None
    at_most: float | None = None

    @property
    def met(self) -> bool:
        return (self.at_least is None or self.reached >= self.at_least) and (
            self.at_most is None or self.reached <= self.at_most
        )

    @property
    def bound(self) -> str:
        return f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"


def goals(figures: Figures) -> Sequence[Goal]:
    """Every goal for which there are measurements."""
    peer = figures.best_per_message() or ""
    asked: list[tuple[str, float | None, float | None, float | None]] = [
        ("inbound, rate to the floor's", figures.ratio("inbound", "floor"), 0.5, None),
        ("inbound in two processes, rate to one floor's", figures.ratio("inbound-2", "floor"), 0.65, None),
        (f"inbound, rate to the best per message ({peer})", figures.ratio("inbound", peer), 10, None),
        ("ten million stored, rate to its empty one", figures.ratio("inbound-10m", "inbound"), 0.9, None),
        (
            "ten million stored, WAL to its empty one",
            figures.ratio("inbound-10m", "inbound", lambda r: r.wal),
            None,
            1.3,
        ),
        (
            "inbound, CPU of the worker to the floor's",
            figures.ratio("inbound", "floor", lambda r: r.worker_cpu),
            None,
            2.2,
        ),
        (
            "inbound, CPU of PostgreSQL to the floor's",
            figures.ratio("inbound", "floor", lambda r: r.postgres_cpu),
            None,
            5,
        ),
        ("a backlog of a million, MB", figures.median("backlog", lambda r: r.memory), None, 150),
        (
            "1,000 a second, p50 to the floor's",
            figures.slower("inbound-1000", "floor-1000", lambda r: r.p50),
            None,
            1.3,
        ),
        (
            "1,000 a second, p99 to the floor's",
            figures.slower("inbound-1000", "floor-1000", lambda r: r.p99),
            None,
            1.5,
        ),
        ("10 a second, p99 in ms", figures.waiting("inbound-10", lambda r: r.p99), None, 50),
        ("one big workspace, rate to a hundred small ones'", figures.ratio("inbound", "inbound-hundred"), 0.9, None),
        ("beside a flood, rate of the others to without", _beside_a_flood(figures), 0.5, None),
    ]
    return [Goal(about, reached, least, most) for about, reached, least, most in asked if reached is not None]


def _beside_a_flood(figures: Figures) -> float | None:
    """Per contact: without a flood the others' partitions have the same share of all records as of all partitions."""
    flooded, usual = figures.of(Throughput, "inbound-flood"), figures.of(Throughput, "inbound")
    shares = [(r.others or 0.0) * 12 / 11 / usual[n].rate for n, r in flooded.items() if n in usual]
    return statistics.median(shares) if shares else None


def _median_ratio(sides: Mapping[int, R], bases: Mapping[int, R], value: Callable[[R], float]) -> float | None:
    found = [value(r) / value(bases[n]) for n, r in sides.items() if n in bases and value(bases[n])]
    return statistics.median(found) if found else None
