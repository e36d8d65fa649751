"""Kinds of metrics. Each metric enters the catalogue where it is made: `docs/metrics.md` is written from it."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Bounds of histograms of durations, unless a metric has others."""
SIZES: Final = (1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 5_000.0)
"""Bounds of histograms of numbers of records."""
STATE_KEPT_S: Final = 30.0
"""Seconds after which a measurement of the state is no longer shown: another process may measure now."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One metric of the catalogue. `name` is the name that alerts use; `tells` and `alert` are Markdown."""

    name: str
    kind: str
    labels: Sequence[str]
    tells: str
    alert: str


@dataclass(frozen=True, slots=True)
class Section:
    """Metrics that one kind of process or work has. Each method makes a metric and enters it; `labels` come last."""

    title: str
    about: str = ""
    entries: list[Entry] = field(default_factory=list)

    def counter(self, name: str, tells: str, *labels: str, alert: str = "") -> Counter:
        """A number of events since the process started."""
        self._enter(name, "counter", labels, tells, alert)
        return Counter(name, tells, labels)

    def gauge(self, name: str, tells: str, *labels: str, alert: str = "") -> Gauge:
        """A value of this process."""
        self._enter(name, "gauge", labels, tells, alert)
        return Gauge(name, tells, labels)

    def histogram(
        self, name: str, tells: str, *labels: str, buckets: Sequence[float] = SECONDS, alert: str = ""
    ) -> Histogram:
        """A distribution: of seconds, unless the buckets say otherwise."""
        self._enter(name, "histogram", labels, tells, alert)
        return Histogram(name, tells, labels, buckets=buckets)

    def state(self, name: str, tells: str, *labels: str, alert: str = "") -> "StateGauge":
        """A value of the whole installation, which one process at a time measures."""
        self._enter(name, "gauge", labels, tells, alert)
        return StateGauge(name, tells, labels)

    def _enter(self, name: str, kind: str, labels: Sequence[str], tells: str, alert: str) -> None:
        self.entries.append(Entry(name, kind, labels, tells, alert))


class StateGauge(Collector):
    """Values by label that are measured together. They disappear if nobody measures them again: an old value of a
    process that measures no longer would stand beside the value of the process that does.
    """

    def __init__(self, name: str, tells: str, labels: Sequence[str]) -> None:
        self._name = name
        self._tells = tells
        self._labels = labels
        self._measured: tuple[float, Mapping[tuple[str, ...], float]] = (-STATE_KEPT_S, {})
        REGISTRY.register(self)

    def show(self, values: Mapping[tuple[str, ...], float]) -> None:
        """Replaces all values. Keys are the values of the labels, in their order; `()` without labels."""
        self._measured = time.monotonic(), dict(values)

    def describe(self) -> Iterator[Metric]:
        """See the base class."""
        yield self._family()

    def collect(self) -> Iterator[Metric]:
        """See the base class. Called from the thread that answers a scrape."""
        measured_at, values = self._measured
        family = self._family()
        if time.monotonic() - measured_at <= STATE_KEPT_S:
            for labels, value in sorted(values.items()):
                family.add_metric(labels, value)
        yield family

    def _family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily(self._name, self._tells, labels=self._labels)
