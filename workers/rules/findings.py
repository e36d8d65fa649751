"""What `sluice doctor` finds: pure functions of the modules `…_checks` make findings of facts."""

from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

Level = Literal["ok", "warning", "problem"]
LEVELS: Final[Sequence[Level]] = ("ok", "warning", "problem")
"""From the best to the worst. Workers go on with a warning; with a problem they refuse to start, halt, or may lose
something.
"""


class Finding(NamedTuple):
    """One check: what was found, what was expected, and what to do. `advice` is empty if all is well."""

    check: str
    level: Level
    found: str
    expected: str = ""
    advice: str = ""


def checked(check: str, found: str, wrong: Iterable[Finding]) -> list[Finding]:
    """What is wrong, or one finding that nothing is."""
    return list(wrong) or [Finding(check, "ok", found)]


def worst(findings: Iterable[Finding]) -> Level:
    """The worst level; `ok` if there is no finding."""
    return max((finding.level for finding in findings), key=LEVELS.index, default="ok")
