"""Two pictures in one SVG, throughput over time and over what is stored: plain text, written here."""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.figures import Figures
from benchmarks.result import Throughput

_WIDTH, _HEIGHT, _GAP = 400.0, 300.0, 190.0
_COLOURS: Final = {
    "floor": "#888888",
    "inbound": "#1f77b4",
    "inbound-2": "#2ca02c",
    "inbound-10m": "#d62728",
    "confluent": "#9467bd",
    "quix": "#8c564b",
    "aiokafka-16": "#e377c2",
    "backlog": "#1f77b4",
}
_OVER_STORED: Final = (("0", "inbound"), ("1 million", "inbound-1m"), ("10 million", "inbound-10m"))
_WINDOW: Final = 0.04
"""The share of a measurement over which a point of the curve is averaged."""

Point = tuple[float, float]


class Curve(NamedTuple):
    """A line in the units of its picture, named and coloured as its side."""

    side: str
    points: Sequence[Point]


def write(file: Path, figures: Figures) -> None:
    """Draws what there are figures for."""
    curves = [Curve(side, _over_time(_middle(figures, side))) for side in _COLOURS if figures.of(Throughput, side)]
    pictures = [
        *_picture("records/s over seconds", [c for c in curves if c.side != "backlog"], [], 0),
        *_picture("a backlog of a million: records/s over seconds", [c for c in curves if c.side == "backlog"], [], 1),
        *_picture("records/s over messages stored", _stored(figures), [label for label, _ in _OVER_STORED], 2),
    ]
    size = f'width="{3 * (_WIDTH + _GAP):g}" height="{_HEIGHT + 110:g}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    file.write_text("\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *pictures, "</svg>", ""]))


def _stored(figures: Figures) -> list[Curve]:
    rates = [(float(x), figures.median(side, lambda r: r.rate)) for x, (_, side) in enumerate(_OVER_STORED)]
    floor = figures.median("floor", lambda r: r.rate)
    curves = [Curve("inbound", [(x, rate) for x, rate in rates if rate is not None])]
    return curves if floor is None else [*curves, Curve("floor", [(0.0, floor), (2.0, floor)])]


def _middle(figures: Figures, side: str) -> Throughput:
    """The round with the median rate."""
    ordered = sorted(figures.of(Throughput, side).values(), key=lambda r: r.rate)
    return ordered[len(ordered) // 2]


def _over_time(result: Throughput) -> list[Point]:
    points: list[Point] = []
    window = max(0.5, result.seconds * _WINDOW)
    begin = 0
    for at, done in result.samples:
        while at - result.samples[begin + 1][0] >= window:
            begin += 1
        since, before = result.samples[begin]
        if at - since >= window / 2:
            points.append((at, (done - before) / (at - since)))
    return points


def _picture(title: str, curves: Sequence[Curve], labels: Sequence[str], place: int) -> Iterator[str]:
    points = [point for curve in curves for point in curve.points]
    if not points:
        return
    widest = len(labels) - 1.0 if labels else max(x for x, _ in points)
    step = _step(max(y for _, y in points))
    highest = step * (int(max(y for _, y in points) / step) + 1)
    yield f'<g transform="translate({60 + place * (_WIDTH + _GAP):g} 50)">'
    yield f'<text y="-20" font-size="15">{escape(title)}</text>'
    yield from _frame(highest, step, labels or [f"{widest * n / 4:.3g}" for n in range(5)])
    for number, (side, line) in enumerate(curves):
        colour = _COLOURS[side]
        at = [(x / (widest or 1) * _WIDTH, _HEIGHT - y / highest * _HEIGHT) for x, y in line]
        yield f'<polyline points="{_spelt(at)}" fill="none" stroke="{colour}" stroke-width="2"/>'
        if labels:
            yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>' for x, y in at)
        yield f'<text x="{_WIDTH + 12:g}" y="{14 + 18 * number}" fill="{colour}">{escape(side)}</text>'
    yield "</g>"


def _spelt(points: Sequence[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _frame(highest: float, step: float, labels: Sequence[str]) -> Iterator[str]:
    for n in range(round(highest / step) + 1):
        y = _HEIGHT - n * step / highest * _HEIGHT
        yield f'<line x2="{_WIDTH:g}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>'
        yield f'<text x="-6" y="{y + 4:.1f}" text-anchor="end">{n * step:,.0f}</text>'
    for n, label in enumerate(labels):
        x = n / (len(labels) - 1) * _WIDTH
        yield f'<text x="{x:.1f}" y="{_HEIGHT + 18:g}" text-anchor="middle">{escape(label)}</text>'


def _step(highest: float) -> float:
    """A round number that goes four to ten times into the highest."""
    return next(float(s * 10**e) for e in range(9) for s in (1, 2, 5) if highest / (s * 10**e) <= 10)
