"""Tenants, their channels and their settings. Both exist from their first record on."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from workers.rules.cycles import BY_CYCLE, Calendar, Setting, calendar_of
from workers.rules.workspace import Policies, policies_of
from workers.runtime.batch import Connection
from workers.store.arrays import columns
from workers.store.queries import load

_SQL = load("workspaces")
_MOST_RECENT: Final = 4_096


class _Contents(NamedTuple):
    settings: tuple[Setting, ...]
    channels: Mapping[str, str]


# By version, which no two states of any workspace share: not even one that was rolled back.
_RECENT: Final[dict[UUID, _Contents]] = {}


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


async def share(tx: Connection, used_channels: Collection[tuple[str, str, str]]) -> dict[str, Workspace]:
    """The workspaces of (workspace_id, channel_id, channel) triples, both made where they are new; '' is no channel.

    Settings cannot change until the transaction ends: their writers wait for it.
    """
    ids = sorted({workspace_id for workspace_id, _, _ in used_channels})
    rows = await tx.fetch(_SQL["lock_workspaces_shared"], ids)
    if len(rows) < len(ids):
        await tx.execute(_SQL["add_workspaces"], ids)
        rows = await tx.fetch(_SQL["lock_workspaces_shared"], ids)
    tenants = await _tenants(tx, rows)
    await add_channels(tx, {u for u in used_channels if u[1] and u[1] not in tenants[u[0]].channels})
    return tenants


async def lock(tx: Connection, workspace_ids: Iterable[str]) -> dict[str, Workspace]:
    """The workspaces for a change of their settings: ingest of these waits until the transaction ends."""
    ids = sorted(set(workspace_ids))
    await tx.execute(_SQL["close_gates"], ids)
    await tx.execute(_SQL["add_workspaces"], ids)
    return await _tenants(tx, await tx.fetch(_SQL["lock_workspaces"], ids))


async def add_settings(tx: Connection, new: Iterable[tuple[str, Setting]]) -> None:
    """Append (workspace_id, setting) pairs to the log."""
    rows = [(w, s.channel_id, s.name, s.issued_at, s.command_id, msgspec.json.encode(s.value).decode()) for w, s in new]
    await tx.execute(_SQL["add_settings"], *columns(rows, 6))


async def add_channels(tx: Connection, channels: Iterable[tuple[str, str, str]]) -> None:
    """Channels as (workspace_id, channel_id, channel); one that exists keeps its kind."""
    if new := sorted(set(channels)):
        await tx.execute(_SQL["add_channels"], *columns(new, 3))


def earlier_than_known(seen: Iterable[tuple[str, datetime]], tenants: Mapping[str, Workspace]) -> dict[str, datetime]:
    """Of (workspace_id, event time) pairs the earliest of each workspace, where its first message is later."""
    earliest: dict[str, datetime] = {}
    for workspace_id, at in seen:
        first = earliest.get(workspace_id) or tenants[workspace_id].first_message_at
        if first is None or at < first:
            earliest[workspace_id] = at
    return earliest


async def note_first_messages(tx: Connection, earliest: Mapping[str, datetime]) -> None:
    """Remember each workspace's earliest event time: every cycle since then has a row."""
    if earliest:
        await tx.execute(_SQL["note_first_messages"], list(earliest), list(earliest.values()))


async def _tenants(tx: Connection, rows: Sequence[tuple[str, datetime | None, UUID]]) -> dict[str, Workspace]:
    contents = await _contents(tx, {workspace_id: version for workspace_id, _, version in rows})
    return {workspace_id: _workspace(workspace_id, first, contents[workspace_id]) for workspace_id, first, _ in rows}


async def _contents(tx: Connection, versions: Mapping[str, UUID]) -> dict[str, _Contents]:
    """Settings and channels by workspace; what this process has read of the same version before is not read again."""
    unread = [workspace_id for workspace_id, version in versions.items() if version not in _RECENT]
    found = {workspace_id: _RECENT[version] for workspace_id, version in versions.items() if version in _RECENT}
    if unread:
        found |= await _read(tx, unread)
        _RECENT.update({versions[workspace_id]: found[workspace_id] for workspace_id in unread})
        for version in list(_RECENT)[: max(0, len(_RECENT) - _MOST_RECENT)]:
            del _RECENT[version]
    return found


async def _read(tx: Connection, ids: Sequence[str]) -> dict[str, _Contents]:
    channels: dict[str, dict[str, str]] = defaultdict(dict)
    settings: dict[str, list[Setting]] = defaultdict(list)
    for workspace_id, channel_id, name, issued_at, command_id, value in await tx.fetch(
        _SQL["channels_and_settings"], ids
    ):
        if issued_at is None:
            channels[workspace_id][channel_id] = name
        else:
            settings[workspace_id].append(Setting(issued_at, command_id, channel_id, name, msgspec.json.decode(value)))
    return {i: _Contents(tuple(settings[i]), channels[i]) for i in ids}


def _workspace(workspace_id: str, first: datetime | None, contents: _Contents) -> Workspace:
    policies, regions, calendar = _meaning(contents.settings)
    return Workspace(workspace_id, first, contents.settings, policies, calendar, regions, contents.channels)


@lru_cache(maxsize=4_096)
def _meaning(settings: tuple[Setting, ...]) -> tuple[Policies, Mapping[str, str | None], Calendar]:
    by_cycle = (s for s in settings if s.name == "count" or (not s.channel_id and s.name in BY_CYCLE))
    regions = {s.channel_id: s.value for s in settings if s.channel_id and s.name == "default_region"}
    return policies_of(settings), regions, calendar_of(by_cycle)
