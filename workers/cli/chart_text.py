"""A chart for a terminal. Each cycle has a character of its own, so nothing depends on colour."""

from collections.abc import Iterator, Sequence
from typing import Final

from workers.rules.mac_chart import Chart, Line, compared, ticks

_HEIGHT: Final = 16  # rows
_STEPS: Final = 7  # of the axis, at most
_OTHERS: Final = "abcde"


def lines(chart: Chart, width: int, *, unicode: bool) -> list[str]:
    """The chart and what its characters mean. Without `unicode` in ASCII. Narrower than 40 columns it is 40 wide."""
    present, tick, wall, corner, floor = ("●", "┤", "│", "└", "─") if unicode else ("*", "+", "|", "+", "-")
    marks = [present, *_OTHERS]
    up = ticks(max(max(line.counts) for line in chart.lines), _STEPS)
    labels = {round(value / up[-1] * (_HEIGHT - 1)): f"{value:,}" for value in up}
    margin = max(map(len, labels.values()))
    across = max(width, 40) - margin - 3
    days = max(line.days for line in chart.lines)
    grid = _grid(chart.lines, marks, across, days, up[-1])
    drawn = [
        f"{labels.get(row, ''):>{margin}} {tick if row in labels else wall}{''.join(grid[row])}".rstrip()
        for row in reversed(range(_HEIGHT))
    ]
    return [
        f"Active contacts of {chart.workspace_id} until each day of the cycle ({chart.time_zone})",
        "",
        *drawn,
        f"{'':{margin}} {corner}{floor * across}",
        f"{'':{margin}}  {_days(across, days)}",
        "",
        *_legend(chart.lines, marks),
    ]


def _grid(lines_: Sequence[Line], marks: Sequence[str], across: int, days: int, top: int) -> list[list[str]]:
    """Rows of characters from the bottom up; the newest cycle is drawn last, above the others."""
    grid = [[" "] * across for _ in range(_HEIGHT)]
    for line, mark in reversed(list(zip(lines_, marks, strict=False))):
        for column in range(across):
            day = column / max(across - 1, 1) * max(days - 1, 1)
            if day > len(line.counts) - 1:
                break
            grid[round(_between(line.counts, day) / top * (_HEIGHT - 1))][column] = mark
    return grid


def _between(counts: Sequence[int], day: float) -> float:
    whole = int(day)
    following = counts[min(whole + 1, len(counts) - 1)]
    return counts[whole] + (following - counts[whole]) * (day - whole)


def _days(across: int, days: int) -> str:
    text = [" "] * across
    for day in (1, *range(5, days + 1, 5)):
        place = min(round((day - 1) / max(days - 1, 1) * (across - 1)), across - len(str(day)))
        text[place : place + len(str(day))] = str(day)
    return "".join(text).rstrip()


def _legend(lines_: Sequence[Line], marks: Sequence[str]) -> Iterator[str]:
    present = lines_[0]
    for line, mark in zip(lines_, marks, strict=False):
        beside = f"on day {len(line.counts)}" if line is present else f"in all; {compared(present, line)}".rstrip("; ")
        yield f"{mark}  {line.name():<17} {line.counts[-1]:>9,} {beside}"
