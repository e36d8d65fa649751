"""What a workspace and its channels are set to, and what another value would change (contract 2, configure_*).

Settings are a log that is folded by time of issue, so a value that arrives late may change what holds, or nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Final

from workers.rules.cycles import BY_CYCLE, CycleSettings, Setting
from workers.rules.workspace import Policies

COUNT: Final = "count"

CHANNEL_DEFAULTS: Final[dict[str, Any]] = {"name": None, "default_region": None, COUNT: True}

WORKSPACE_DEFAULTS: Final[dict[str, Any]] = {
    f.name: f.default for kind in (CycleSettings, Policies) for f in fields(kind) if f.name != "uncounted_channels"
}


def goes_by_cycle(setting: Setting) -> bool:
    """Its first value holds from the beginning and a later one from a cycle's end; the others hold at once."""
    return setting.name == COUNT if setting.channel_id else setting.name in BY_CYCLE


def changes(log: Sequence[Setting], new: Setting) -> bool:
    """Does `new` change what holds? `log` is everything set before under its name, on its channel, in any order."""
    known = [(s.issued_at, s.command_id, s.value) for s in log]
    later = [*known, (new.issued_at, new.command_id, new.value)]
    defaults = CHANNEL_DEFAULTS if new.channel_id else WORKSPACE_DEFAULTS
    before, after = _steps(known, defaults[new.name]), _steps(later, defaults[new.name])
    return before != after if goes_by_cycle(new) else before[-1][1] != after[-1][1]


def _steps(written: Iterable[tuple[datetime, Any, Any]], default: Any) -> list[tuple[datetime | None, Any]]:
    """Values with the time each began to be asked for; the first has none, because it holds from the beginning."""
    steps: list[tuple[datetime | None, Any]] = []
    for at, _, value in sorted(written, key=lambda w: w[:2]):
        if not steps:
            steps.append((None, value))
        elif steps[-1][1] != value:
            steps.append((at, value))
    return steps or [(None, default)]
