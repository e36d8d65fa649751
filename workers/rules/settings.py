"""The settings of a workspace and its channels, and the effect of another value (contract 2, configure_*).

Settings are a log that is folded by time of issue, so a value that arrives late may change what holds, or nothing.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, NamedTuple

import msgspec

from schemas.changes import WorkspaceSettings
from schemas.fields import Region, Title
from schemas.regions import REGIONS
from workers.rules.closing import EVER, GraceChange
from workers.rules.cycles import BY_CYCLE, CycleSettings, Setting, holding
from workers.rules.workspace import Policies

COUNT: Final = "count"
GRACE: Final = "close_grace_hours"

_QUARTER_S: Final = 15 * 60

CHANNEL_DEFAULTS: Final[dict[str, Any]] = {"name": None, "default_region": None, COUNT: True}

WORKSPACE_DEFAULTS: Final[dict[str, Any]] = {
    f.name: f.default for kind in (CycleSettings, Policies) for f in fields(kind) if f.name != "uncounted_channels"
}

_OF_CHANNELS: Final[dict[str, Any]] = {"name": Title, "default_region": Region, COUNT: bool}


def readable(setting: Setting) -> bool:
    """Whether this release knows the name and the value. Another release may have stored others."""
    if setting.value is None:
        known = CHANNEL_DEFAULTS if setting.channel_id else WORKSPACE_DEFAULTS
        return known.get(setting.name, setting) is None
    try:
        if setting.channel_id:
            msgspec.convert(setting.value, _OF_CHANNELS[setting.name])
            return setting.name != "default_region" or setting.value in REGIONS
        msgspec.convert({setting.name: setting.value}, WorkspaceSettings)
    except (KeyError, msgspec.ValidationError):
        return False
    return True


def goes_by_cycle(setting: Setting) -> bool:
    """Whether its first value holds from the beginning and a later one from a cycle's end; the others hold at once."""
    return setting.name == COUNT if setting.channel_id else setting.name in BY_CYCLE


def holds_at_once(channel_id: str, name: str) -> bool:
    """Whether this release knows the name, and its values hold at once."""
    known = CHANNEL_DEFAULTS if channel_id else WORKSPACE_DEFAULTS
    return name in known and not (name == COUNT if channel_id else name in BY_CYCLE)


class Held(NamedTuple):
    """A value and the time from which it holds; the next one of its name ends it. `channel_id` '': the workspace's."""

    channel_id: str
    name: str
    holds_from: datetime
    value: Any


def held(settings: Iterable[Setting]) -> list[Held]:
    """Everything that goes by cycle, and from when on it holds: all such names of the workspace, and of its channels
    with a setting.
    """
    placed = [(max(at, EVER), s) for at, s in holding(s for s in settings if goes_by_cycle(s))]
    values = {("", name): {EVER: WORKSPACE_DEFAULTS[name]} for name in sorted(BY_CYCLE)}
    for at, setting in placed:
        values.setdefault((setting.channel_id, setting.name), {})[at] = setting.value
    return [Held(*name, at, value) for name, by_time in values.items() for at, value in _turns(by_time)]


def held_at_once(last: Held, settings: Iterable[Setting]) -> list[Held]:
    """The values of one name that holds at once, from the time of the first of these settings on. They are all that
    were set since then, and `last` is what held before.
    """
    by_time = {last.holds_from: last.value}
    for setting in sorted(settings, key=_order):
        by_time[setting.issued_at] = setting.value
    return [last._replace(holds_from=at, value=value) for at, value in _turns(by_time)]


def default_of(channel_id: str, name: str) -> Held:
    """The default of a name."""
    defaults = CHANNEL_DEFAULTS if channel_id else WORKSPACE_DEFAULTS
    return Held(channel_id, name, EVER, defaults[name])


def _turns(by_time: Mapping[datetime, Any]) -> Iterable[tuple[datetime, Any]]:
    """Oldest first, without those that repeat the present value."""
    for _, same in groupby(sorted(by_time.items(), key=itemgetter(0)), key=itemgetter(1)):
        yield next(same)


class Entered(NamedTuple):
    """The effect of another setting: whether it changes what holds, and which values can never matter again."""

    changed: bool
    superseded: list[Setting]


def enter(log: list[Setting], new: Setting) -> Entered:
    """Adds `new` to `log`: the settings of its name on its channel that still matter, oldest first. Those in
    `superseded` are not in it any more; `new` itself may be one.

    Of what holds at once only the last value matters. A value that goes by cycle waits for the end of its cycle, and an
    older command may still change which cycle that is. But no cycle begins within a quarter of an hour, so of the
    values of one such quarter only the last one can ever hold, and the very first one of all.
    """
    place = bisect_right(log, _order(new), key=_order)
    changed = _changes(log, place, new)
    log.insert(place, new)
    last = len(log) - 1
    if goes_by_cycle(new):
        beside = range(max(1, place - 1), min(last, place + 2))
        gone = [n for n in beside if _quarter(log[n]) == _quarter(log[n + 1]) and _same_cycles(log[n], log[n + 1])]
    elif new.name == GRACE:  # which cycles it holds for depends on all that came before
        gone = []
    else:
        gone = list(range(last))
    return Entered(changed, [log.pop(n) for n in reversed(gone)])


def _order(setting: Setting) -> tuple[datetime, bytes]:
    return setting.issued_at, setting.command_id.bytes


def _same_cycles(one: Setting, other: Setting) -> bool:
    return one.not_before == other.not_before


def graces(settings: Iterable[Setting]) -> list[GraceChange]:
    """The values of `close_grace_hours`. One without a known record counts as older than all others."""
    return [
        GraceChange(s.recorded_at or EVER, s.issued_at, s.command_id, timedelta(hours=s.value), s.cycles_from)
        for s in settings
        if s.name == GRACE and not s.channel_id
    ]


def _quarter(setting: Setting) -> int:
    return int(setting.issued_at.timestamp()) // _QUARTER_S


def _changes(log: Sequence[Setting], place: int, new: Setting) -> bool:
    before, after = log[max(0, place - 1) : place], log[place : place + 1]
    if not log:
        return bool(new.value != default_of(new.channel_id, new.name).value)
    if not goes_by_cycle(new):
        return not after and bool(new.value != log[-1].value)
    if not before:  # now it is the value that holds from the beginning
        return bool(new.value != log[0].value)
    if after and _quarter(after[0]) == _quarter(new):
        return False
    return bool(new.value != before[0].value)
