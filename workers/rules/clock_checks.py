"""Whether the clocks of the servers agree with the one of this machine."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from workers.rules.findings import Finding, Level

WARNING_S: Final = 2.0
PROBLEM_S: Final = 60.0
"""Rules accept times up to five minutes ahead (contract 1): long before that the clock is wrong."""


class ClockReading(NamedTuple):
    """A server's clock is ahead of ours by at least `least_s` and at most `most_s` seconds; None: not known."""

    of: str
    least_s: float | None
    most_s: float | None


def clock_findings(readings: Sequence[ClockReading]) -> list[Finding]:
    """A finding for each server."""
    return [_finding(reading) for reading in readings]


def _finding(reading: ClockReading) -> Finding:
    check = f"clock of {reading.of}"
    least, most = reading.least_s, reading.most_s
    expected = f"at most {WARNING_S:g} s away from the clock of this machine"
    if least is None and most is None:
        return Finding(check, "ok", "not known: the topics have no record with its time", expected)
    ahead = 0.0 if least is None else max(0.0, least)
    behind = 0.0 if most is None else max(0.0, -most)
    off = max(ahead, behind)
    if off <= WARNING_S:
        return Finding(check, "ok", _span(least, most), expected)
    level: Level = "problem" if off > PROBLEM_S else "warning"
    return Finding(
        check, level, f"at least {off:.1f} s {'ahead' if ahead else 'behind'}", expected,
        "Let both machines take their time from the same servers (chrony, systemd-timesyncd), and see which is wrong.",
    )  # fmt: skip


def _span(least: float | None, most: float | None) -> str:
    if most is None:
        return "not ahead; whether it is behind is not known, because no record arrived in the meantime"
    return f"between {0.0 if least is None else least:+.2f} s and {most:+.2f} s ahead"
