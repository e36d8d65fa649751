"""A chart as SVG. Line styles, markers and labels tell the cycles apart, so nothing depends on colour.

Alone it is drawn on white. Its classes let a page that contains it set other colours: a rule of a stylesheet has
precedence over the attributes here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from workers.rules.mac_chart import Chart, Line, compared, ticks

_WIDTH, _HEIGHT = 960, 460
_LEFT, _RIGHT, _TOP, _BOTTOM = 96, 256, 72, 52
_STEPS: Final = 8  # of the axis, at most
_TITLE: Final = 70  # characters of a title that fit
_INSIDE: Final = 90  # half the width of a label, which stands in the chart if there is room
_LABEL_GAP: Final = 48  # from one label at the right side to the next


@dataclass(frozen=True, slots=True)
class _Style:
    name: str
    colour: str
    width: float
    dashes: str
    marker: str


# Dark enough on white for print, and each with a form of its own.
_STYLES: Final = (
    _Style("now", "#0b3d91", 3, "", '<circle r="4"/>'),
    _Style("then", "#444444", 1.8, "8 4", '<rect x="-3.5" y="-3.5" width="7" height="7"/>'),
    _Style("then", "#5a5a5a", 1.8, "2 4", '<path d="M0-5 5 4H-5Z"/>'),
    _Style("then", "#6b6b6b", 1.8, "10 3 2 3", '<path d="M0-5 5 0 0 5-5 0Z"/>'),
    _Style("then", "#757575", 1.8, "4 2", '<path d="M-4-4 4 4M-4 4 4-4"/>'),
    _Style("then", "#757575", 1.8, "1 3", '<path d="M0-5V5M-5 0H5"/>'),
)


@dataclass(frozen=True, slots=True)
class _Scale:
    days: int
    top: int

    def x(self, number: int) -> float:
        """Of a day, counted from 0."""
        return round(_LEFT + number / max(self.days - 1, 1) * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(self, count: int) -> float:
        return round(_HEIGHT - _BOTTOM - count / self.top * (_HEIGHT - _TOP - _BOTTOM), 1)


def svg(chart: Chart) -> str:
    """The document."""
    up = ticks(max(max(line.counts) for line in chart.lines), _STEPS)
    scale = _Scale(max(line.days for line in chart.lines), up[-1])
    title = f"Active contacts of {chart.workspace_id}"
    size = min(19, 19 * _TITLE // len(title))
    zone = f"until each day of the cycle, time zone {escape(chart.time_zone)}"
    pairs = list(zip(chart.lines, _STYLES, strict=False))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}"',
        ' class="chart" role="img" aria-labelledby="chart-title chart-about"',
        ' font-family="Helvetica, Arial, sans-serif" font-size="13" fill="#222">',
        f'<title id="chart-title">{escape(title)}</title>',
        f'<desc id="chart-about">{escape(_told(chart))}</desc>',
        f'<rect class="back" width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
        f'<text x="{_LEFT}" y="30" font-size="{size}" font-weight="bold">{escape(title)}</text>',
        f'<text class="dim" x="{_LEFT}" y="50" fill="#555">{zone}</text>',
        *_axes(scale, up),
        *(_curve(line, style, scale) for line, style in reversed(pairs)),
        *_labels(pairs, scale),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _told(chart: Chart) -> str:
    return "; ".join(f"{line.name()}: {line.counts[-1]:,} by day {len(line.counts)}" for line in chart.lines)


def _axes(scale: _Scale, up: Sequence[int]) -> list[str]:
    right, floor = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = []
    for count in up:
        y, name, colour = scale.y(count), *(("axis", "#222") if count == 0 else ("grid", "#ddd"))
        parts.append(f'<path class="{name}" d="M{_LEFT} {y}H{right}" stroke="{colour}"/>')
        parts.append(f'<text x="{_LEFT - 10}" y="{y + 4.5}" text-anchor="end">{count:,}</text>')
    for day in (1, *range(5, scale.days + 1, 5)):
        x = scale.x(day - 1)
        parts.append(f'<path class="axis" d="M{x} {floor}v5" stroke="#222"/>')
        parts.append(f'<text x="{x}" y="{floor + 20}" text-anchor="middle">{day}</text>')
    middle = (_LEFT + right) / 2
    label = f'<text class="dim" x="{middle}" y="{floor + 40}" text-anchor="middle" fill="#555">day of the cycle</text>'
    return [*parts, label]


def _curve(line: Line, style: _Style, scale: _Scale) -> str:
    points = [(scale.x(number), scale.y(count)) for number, count in enumerate(line.counts)]
    path = " ".join(f"{x},{y}" for x, y in points)
    # A marker on every fifth day and on the last one: one on each day would hide the style of the line.
    last = len(points) - 1
    marked = [point for number, point in enumerate(points) if number == last or (number % 5 == 4 and number < last - 1)]
    markers = "".join(f'<g transform="translate({x} {y})">{style.marker}</g>' for x, y in marked)
    return (
        f'<g class="{style.name}" stroke="{style.colour}">'
        f'<polyline points="{path}" fill="none" stroke-width="{style.width}" '
        f'stroke-dasharray="{style.dashes or "none"}" stroke-linejoin="round"/>'
        f'<g fill="{style.colour}" stroke-width="1.5">{markers}</g></g>'
    )


def _labels(pairs: Sequence[tuple[Line, _Style]], scale: _Scale) -> list[str]:
    """Beside the ends of the lines: at the right side below each other, as near to their ends as there is room."""
    present, style = pairs[0]
    inside = scale.x(len(present.counts) - 1) < _WIDTH - _RIGHT - _INSIDE
    beside = sorted(pairs[1:] if inside else pairs, key=lambda pair: scale.y(pair[0].counts[-1]))
    places: list[float] = []
    for line, _style in beside:
        places.append(max(scale.y(line.counts[-1]), places[-1] + _LABEL_GAP if places else _TOP))
    lowest = float(_HEIGHT - _BOTTOM)
    for number in reversed(range(len(places))):
        places[number] = min(places[number], lowest)
        lowest = places[number] - _LABEL_GAP
    made = [_label(line, style, scale, y, present) for (line, style), y in zip(beside, places, strict=True)]
    return [*made, _at_its_end(present, style, scale)] if inside else made


def _at_its_end(line: Line, style: _Style, scale: _Scale) -> str:
    """Above the last point, on a white edge that keeps the other lines away from the letters."""
    x = max(scale.x(len(line.counts) - 1), _LEFT + _INSIDE)
    y = max(scale.y(line.counts[-1]), _TOP + 30)
    return (
        f'<g class="{style.name} edge" fill="{style.colour}" stroke="#fff" stroke-width="5" '
        f'paint-order="stroke" stroke-linejoin="round">'
        f'<text x="{x}" y="{y - 28}" text-anchor="middle" font-weight="bold">{escape(line.name())}</text>'
        f'<text x="{x}" y="{y - 13}" text-anchor="middle" font-size="12">{_count(line)}</text></g>'
    )


def _label(line: Line, style: _Style, scale: _Scale, y: float, present: Line) -> str:
    x, end = _WIDTH - _RIGHT + 26, (scale.x(len(line.counts) - 1), scale.y(line.counts[-1]))
    bold = ' font-weight="bold"' if line is present else ""
    return (
        f'<path class="grid" d="M{end[0] + 8} {end[1]}L{x - 14} {y}" stroke="#bbb" fill="none"/>'
        f'<g class="{style.name}" fill="{style.colour}" stroke="{style.colour}" transform="translate({x - 4} {y})">'
        f"{style.marker}</g>"
        f'<text class="{style.name}" x="{x + 8}" y="{y + 4}"{bold} fill="{style.colour}">{escape(line.name())}</text>'
        f'<text x="{x + 8}" y="{y + 19}" font-size="12">{_count(line)}</text>'
        f'<text x="{x + 8}" y="{y + 33}" font-size="11" class="dim" fill="#555">{compared(present, line)}</text>'
    )


def _count(line: Line) -> str:
    return f"{line.counts[-1]:,} " + ("in all" if len(line.counts) == line.days else f"on day {len(line.counts)}")
