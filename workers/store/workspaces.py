"""Tenants, their channels and their settings. A workspace and a channel exist from their first record on."""

import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

import msgspec
import structlog

from schemas import limits
from workers.records import Record, SetAside
from workers.rules.closing import EVER
from workers.rules.cycles import Calendar, Setting, calendar_of
from workers.rules.settings import Held, default_of, goes_by_cycle, graces, held, held_at_once, readable
from workers.rules.workspace import Policies, policies_of, regions_of
from workers.store.arrays import columns
from workers.store.cache import Recent
from workers.store.connection import Connection
from workers.store.queries import load

_SQL = load("workspaces")
_BYTES_EACH: Final = 500  # bytes of a channel or a setting without its texts, and what is derived from it

T = TypeVar("T")

SettingName = tuple[str, str, str]
"""(workspace_id, channel_id or '', name of a setting)."""

log = structlog.get_logger()


TOO_MANY_CHANNELS: Final = (
    f"too_many_channels: a workspace has at most {limits.CHANNELS_PER_WORKSPACE:,} channels, "
    "and `channel_id` names one more"
)


class TooManyChannels(Exception):  # noqa: N818 - an answer, not a mistake
    """These channels exceed the limit of their workspace, by workspace_id and channel_id."""

    def __init__(self, channels: frozenset[tuple[str, str]]) -> None:
        super().__init__(f"{len(channels)} channels are too many")
        self.channels = channels


class _Contents(NamedTuple):
    settings: tuple[Setting, ...]
    channels: Mapping[str, str]
    policies: Policies
    regions: Mapping[str, str | None]
    calendar: Calendar


_RECENT: Final = Recent[_Contents](32 * 1024 * 1024)


class Beginning(NamedTuple):
    """The first message of a workspace, if it is earlier than the known one. Every cycle from then to `until` has a row
    now; None: unknown.
    """

    workspace_id: str
    at: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Workspace:
    """A tenant as the rules see it. `regions` maps channel_id to its own default region."""

    workspace_id: str
    first_message_at: datetime | None
    settings: tuple[Setting, ...]
    policies: Policies
    calendar: Calendar
    regions: Mapping[str, str | None] = field(default_factory=dict)
    channels: Mapping[str, str] = field(default_factory=dict)

    def region(self, channel_id: str) -> str | None:
        return self.regions.get(channel_id) or self.policies.default_region

    def region_of(self, channel: str, channel_id: str | None) -> str | None:
        """The region of a channel. Without an id: the workspace's, else that of its only channel of that kind."""
        if channel_id is not None:
            return self.region(channel_id)
        own = {region for id_, region in self.regions.items() if region and self.channels.get(id_) == channel}
        return self.policies.default_region or (own.pop() if len(own) == 1 else None)


async def share_for(
    tx: Connection, records: Sequence[Record[T]], channel_of: Callable[[T], tuple[str, str, str]]
) -> dict[str, Workspace]:
    """As `share`, for what each record names. Creates new channels up to the limit.

    Raises:
        SetAside: these records exceed the limit.
    """
    used = dict.fromkeys(channel_of(record.value) for record in records)
    try:
        return await share(tx, used)
    except TooManyChannels as found:
        full = found.channels
    raise SetAside({(r.source, r.offset): TOO_MANY_CHANNELS for r in records if channel_of(r.value)[:2] in full})


async def share(tx: Connection, used_channels: Collection[tuple[str, str, str]]) -> dict[str, Workspace]:
    """The workspaces of (workspace_id, channel_id, channel) triples. Creates new ones and their channels; '' is none.

    Settings cannot change until the transaction ends: their writers wait for it.

    Raises:
        TooManyChannels: some of the new channels exceed the limit.
    """
    ids = sorted({workspace_id for workspace_id, _, _ in used_channels})
    rows = await tx.fetch(_SQL["lock_workspaces_shared"], ids)
    if len(rows) < len(ids):
        await tx.execute(_SQL["add_workspaces"], ids)
        rows = await tx.fetch(_SQL["lock_workspaces_shared"], ids)
    tenants = await _tenants(tx, rows)
    await add_channels(tx, (u for u in used_channels if u[1] and u[1] not in tenants[u[0]].channels))
    return tenants


async def lock(tx: Connection, workspace_ids: Iterable[str]) -> dict[str, Workspace]:
    """Locks workspaces to change their settings: ingest of these waits until the transaction ends."""
    ids = sorted(set(workspace_ids))
    await tx.execute(_SQL["lock_settings"], ids)
    await tx.execute(_SQL["add_workspaces"], ids)
    return await _tenants(tx, await tx.fetch(_SQL["lock_workspaces"], ids))


async def add_settings(
    tx: Connection, new: Iterable[tuple[str, Setting]], superseded: Iterable[tuple[str, Setting]] = ()
) -> None:
    """Appends (workspace_id, setting) pairs to the log. Superseded values, old or new, are not read any more."""
    rows = [
        (*_key(w, s), msgspec.json.encode(s.value).decode(), s.recorded_at, s.not_before, s.cycles_from) for w, s in new
    ]
    if not rows:
        return
    await tx.execute(_SQL["add_settings"], *columns(rows, 9))
    if gone := [_key(w, s) for w, s in superseded]:
        await tx.execute(_SQL["supersede_settings"], *columns(gone, 5))


def _key(workspace_id: str, setting: Setting) -> tuple[str, str, str, datetime, UUID]:
    return workspace_id, setting.channel_id, setting.name, setting.issued_at, setting.command_id


async def hold_settings(tx: Connection, settings: Mapping[str, Iterable[Setting]]) -> None:
    """Writes from when on each setting that goes by cycle holds, of all relevant values of these workspaces, which are
    locked.
    """
    values = [(workspace_id, h) for workspace_id, log in settings.items() for h in held(log)]
    await _hold(tx, {(workspace_id, h.channel_id, h.name): EVER for workspace_id, h in values}, values)


async def hold_at_once(tx: Connection, since: Mapping[SettingName, datetime]) -> None:
    """Writes from when on settings that hold at once do so, for values set since then; the log has them."""
    if not since:
        return
    last = {
        (w, channel_id, name): Held(channel_id, name, holds_from, msgspec.json.decode(value))
        for w, channel_id, name, holds_from, value in await tx.fetch(_SQL["in_effect_before"], *_since(since))
    }
    # Of a name that was never set the default holds.
    since = {name: at if name in last else EVER for name, at in since.items()}
    last = {name: last.get(name, default_of(*name[1:])) for name in since}
    settings: dict[SettingName, list[Setting]] = {name: [] for name in since}
    for workspace_id, *stored in await tx.fetch(_SQL["set_since"], *_since(since)):
        setting = _setting(*stored)
        if setting is not None:
            settings[workspace_id, setting.channel_id, setting.name].append(setting)
    values = [(name[0], h) for name, log in settings.items() for h in held_at_once(last[name], log)]
    await _hold(tx, {name: last[name].holds_from for name in since}, values)


async def _hold(tx: Connection, since: Mapping[SettingName, datetime], values: Sequence[tuple[str, Held]]) -> None:
    if since:
        rows = [(w, h.channel_id, h.name, h.holds_from, msgspec.json.encode(h.value).decode()) for w, h in values]
        await tx.execute(_SQL["save_in_effect"], *_since(since), *columns(rows, 5))


def _since(since: Mapping[SettingName, datetime]) -> list[list[Any]]:
    return columns([(*name, at) for name, at in since.items()], 4)


async def add_channels(tx: Connection, channels: Iterable[tuple[str, str, str]]) -> None:
    """Adds channels (workspace_id, channel_id, channel). An existing one keeps its kind; of two the first one stays.

    Raises:
        TooManyChannels: a workspace exceeds its limit. Roll back then.
    """
    kinds: dict[tuple[str, str], str] = {}
    for workspace_id, channel_id, channel in channels:
        kinds.setdefault((workspace_id, channel_id), channel)
    if not kinds:
        return
    await tx.execute(_SQL["lock_for_channels"], sorted({workspace_id for workspace_id, _ in kinds}))
    new = [(*key, channel) for key, channel in kinds.items()]
    full = await tx.fetch(_SQL["add_channels"], *columns(new, 3), limits.CHANNELS_PER_WORKSPACE)
    if full:
        raise TooManyChannels(frozenset(map(tuple, full)))


async def note_first_messages(tx: Connection, beginnings: Iterable[Beginning], now: datetime) -> None:
    """Saves each workspace's earliest event time, and whether its cycles have rows."""
    if rows := list(beginnings):
        await tx.execute(_SQL["note_first_messages"], *columns(rows, 3), now)


async def without_cycles(tx: Connection, limit: int) -> list[tuple[str, datetime, datetime | None]]:
    """Workspaces that lack rows of cycles since their first message: its time, and from when on all have a row."""
    return [tuple(row) for row in await tx.fetch(_SQL["without_cycles"], limit)]


async def note_cycles(tx: Connection, since: Mapping[str, datetime]) -> None:
    """Notes that from then on every cycle of the workspace has a row."""
    await tx.execute(_SQL["note_cycles"], list(since), list(since.values()))


async def _tenants(tx: Connection, rows: Sequence[tuple[str, datetime | None, UUID]]) -> dict[str, Workspace]:
    contents = await _contents(tx, {workspace_id: version for workspace_id, _, version in rows})
    return {workspace_id: _workspace(workspace_id, first, contents[workspace_id]) for workspace_id, first, _ in rows}


async def _contents(tx: Connection, versions: Mapping[str, UUID]) -> dict[str, _Contents]:
    """Settings and channels by workspace. Takes a version that this process has read before from the cache."""
    known = {workspace_id: _RECENT.get(workspace_id, version) for workspace_id, version in versions.items()}
    found = {workspace_id: contents for workspace_id, contents in known.items() if contents is not None}
    if len(found) < len(known):
        read = await _read(tx, [workspace_id for workspace_id in known if workspace_id not in found])
        for workspace_id, contents in read.items():
            _RECENT.put(workspace_id, versions[workspace_id], contents, _weight(contents))
        found |= read
    return found


async def _read(tx: Connection, ids: Sequence[str]) -> dict[str, _Contents]:
    channels: dict[str, dict[str, str]] = defaultdict(dict)
    settings: dict[str, list[Setting]] = defaultdict(list)
    for workspace_id, channel_id, name, issued_at, command_id, value, *closing in await tx.fetch(
        _SQL["channels_and_settings"], ids
    ):
        if issued_at is None:
            channels[workspace_id][channel_id] = name
        else:
            setting = _setting(issued_at, command_id, channel_id, name, value, *closing)
            if setting is not None:
                settings[workspace_id].append(setting)
            else:
                _warn(workspace_id, channel_id, name)
    return {i: _understood(settings[i], channels[i]) for i in ids}


def _understood(settings: Sequence[Setting], channels: Mapping[str, str]) -> _Contents:
    calendar = calendar_of((s for s in settings if goes_by_cycle(s)), graces(settings))
    return _Contents(tuple(settings), channels, policies_of(settings), regions_of(settings), calendar)


def _weight(contents: _Contents) -> int:
    texts = sum(map(sys.getsizeof, contents.channels)) + sum(sys.getsizeof(s.value) for s in contents.settings)
    return _BYTES_EACH * (1 + len(contents.channels) + len(contents.settings)) + texts


def _setting(
    issued_at: datetime, command_id: UUID, channel_id: str, name: str, value: str, *closing: datetime | None
) -> Setting | None:
    """None if this release cannot read the value: it counts as never set, and stops no worker."""
    try:
        decoded = msgspec.json.decode(value)
        setting = Setting(issued_at, command_id, channel_id, name, decoded, *closing)
    except msgspec.MsgspecError:
        return None
    return setting if readable(setting) else None


def _warn(workspace_id: str, channel_id: str, name: str) -> None:
    log.warning(
        "A stored setting cannot be read by this release and counts as not set: set it again.",
        action="setting_unreadable",
        workspace_id=workspace_id,
        channel_id=channel_id or None,
        name=name,
    )


def _workspace(workspace_id: str, first: datetime | None, contents: _Contents) -> Workspace:
    settings, channels, policies, regions, calendar = contents
    return Workspace(workspace_id, first, settings, policies, calendar, regions, channels)
