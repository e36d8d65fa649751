"""configure_workspace and configure_channel: append values to the log of settings, under the workspace's lock."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from msgspec import UNSET

from schemas import limits
from schemas.settings_commands import ConfigureChannel, ConfigureWorkspace
from workers.billing import earlier_closing
from workers.billing.earlier_closing import EarlierClosing
from workers.commands.command_record import CommandRecord
from workers.messages.recounting import recount
from workers.process.tasks import paced
from workers.rules.cycles import CUTTING, FIRST_INSTANT, Calendar, Cycle, Setting, calendar_of
from workers.rules.results import Done, Refused, Result
from workers.rules.settings import CHANNEL_DEFAULTS, GRACE, WORKSPACE_DEFAULTS, enter, goes_by_cycle
from workers.store import alerts, closing, mac, workspaces
from workers.store.commands import CommandKey
from workers.store.connection import Connection
from workers.store.workspaces import SettingName, Workspace


class EndedCycle(NamedTuple):
    """A cycle that has ended. `closes_at`: the beginning of time if it is closed already."""

    cycle: Cycle
    closes_at: datetime


class CycleReset(NamedTuple):
    """A command that changes where a workspace's cycles begin from `since` on: the values before and after it."""

    key: CommandKey
    since: datetime
    before: Calendar
    after: Calendar


@dataclass(slots=True)
class SettingsBook:
    """The settings that matter, oldest first, and what the commands add to them.

    `at_once`: the time from which names that hold at once were set. `recount`: the time from which cycles have other
    settings or begin at other times. `ended`: the cycles that have ended, the last one first. `graces`: workspaces
    whose cycles may close at other times; `cycles_from`: where the first cycle of each begins.
    """

    log: dict[SettingName, list[Setting]]
    channels: dict[str, dict[str, str]]
    new_settings: list[tuple[str, Setting]] = field(default_factory=list)
    superseded: list[tuple[str, Setting]] = field(default_factory=list)
    at_once: dict[SettingName, datetime] = field(default_factory=dict)
    new_channels: list[tuple[str, str, str]] = field(default_factory=list)
    recount: dict[str, datetime] = field(default_factory=dict)
    ended: Mapping[str, Sequence[EndedCycle]] = field(default_factory=dict)
    graces: set[str] = field(default_factory=set)
    cycles_from: Mapping[str, datetime] = field(default_factory=dict)
    cuts: list[CycleReset] = field(default_factory=list)
    calendars: dict[str, Calendar] = field(default_factory=dict)

    def of_recounted(self) -> Mapping[str, Sequence[Setting]]:
        """The settings that matter in each workspace whose cycles have other settings."""
        settings: dict[str, list[Setting]] = {workspace_id: [] for workspace_id in self.recount}
        for (workspace_id, _, _), log in self.log.items():
            if workspace_id in settings:
                settings[workspace_id] += log
        return settings

    def closed_until(self, workspace_id: str, recorded_at: datetime) -> datetime | None:
        """The end of the last cycle that was closed at that time, by Kafka's clock: no setting changes it any more."""
        return next((e.cycle.end for e in self.ended.get(workspace_id, ()) if e.closes_at <= recorded_at), None)

    def calendar(self, workspace_id: str) -> Calendar:
        """The settings that decide where cycles begin."""
        known = self.calendars.get(workspace_id)
        if known is None:
            known = calendar_of(s for name in CUTTING for s in self.log[workspace_id, "", name])
            self.calendars[workspace_id] = known
        return known


async def carry_out(
    tx: Connection,
    asked: Sequence[CommandRecord[ConfigureWorkspace | ConfigureChannel]],
    tenants: Mapping[str, Workspace],
    now: datetime,
) -> dict[CommandKey, Result]:
    """The results of the commands. All their `tenants` are locked for a change of settings."""
    book = _book(tenants)
    latest = max([now, *(a.record.recorded_at for a in asked)])  # other partitions may be applied further
    book.ended = await _ended(tx, tenants, latest)
    book.cycles_from = {w: t.calendar.at(t.first_message_at)[0].start for w, t in tenants.items() if t.first_message_at}
    results = {a.key: decide(book, a) async for a in paced(asked)}
    await workspaces.add_channels(tx, book.new_channels)
    await workspaces.add_settings(tx, book.new_settings, book.superseded)
    await workspaces.hold_settings(tx, book.of_recounted())
    await workspaces.hold_at_once(tx, book.at_once)
    await alerts.limits_changed(tx, {w for w, _, name in book.at_once if name == "mac_limit"})
    givers = {a.command.workspace_id: a.command.command_id for a in asked}
    if book.graces:
        await closing.forget_instants(tx, book.graces)
    spans = await recount(tx, book.recount, givers, now) if book.recount else {}
    if others := book.graces | {key[0] for key, *_ in book.cuts}:
        await earlier_closing.leave(tx, await _closing_earlier(tx, book, others, latest), givers)
    for key, since, before, after in book.cuts:
        first, last = spans.get(key[0], (now, now))
        if key[0] in spans and since <= last:
            span = max(first, since), last
            results[key] = _with_new_cycles(results[key], after.starts_between(*span) - before.starts_between(*span))
    return results


def _with_new_cycles(result: Result, new: set[datetime]) -> Result:
    """Adds the new cycles to the result: a month that is divided again changes a bill, so the result must show it."""
    if not new or not isinstance(result, Done):
        return result
    return Done({**result.changed, "cycles": sorted(new)})


def decide(book: SettingsBook, asked: CommandRecord[ConfigureWorkspace | ConfigureChannel]) -> Result:
    """The result of a command, which is written into the book."""
    command = asked.command
    if isinstance(command, ConfigureWorkspace):
        given = {
            name: default if value is None else value
            for name, default in WORKSPACE_DEFAULTS.items()
            if (value := getattr(command.set, name)) is not UNSET
        }
        before = book.calendar(command.workspace_id)
        changed, since = _write(book, asked, "", given)
        if since is not None and CUTTING & changed.keys():
            del book.calendars[command.workspace_id]
            book.cuts.append(CycleReset(asked.key, since, before, book.calendar(command.workspace_id)))
        return Done(changed)
    channels = book.channels[command.workspace_id]
    kind = channels.get(command.channel_id, command.channel)
    if kind != command.channel:
        return Refused("invalid", f"`channel`: this channel is of kind `{kind}` and stays so, not `{command.channel}`")
    made = {} if command.channel_id in channels else {"channel": command.channel}
    if made:
        if len(channels) >= limits.CHANNELS_PER_WORKSPACE:
            return Refused("invalid", workspaces.TOO_MANY_CHANNELS)
        channels[command.channel_id] = command.channel
        book.new_channels.append((command.workspace_id, command.channel_id, command.channel))
    given = {name: value for name in CHANNEL_DEFAULTS if (value := getattr(command, name)) is not None}
    return Done(made | _write(book, asked, command.channel_id, given)[0])


def _write(
    book: SettingsBook, asked: CommandRecord[Any], channel_id: str, given: Mapping[str, Any]
) -> tuple[dict[str, Any], datetime | None]:
    """Enters the given values. Returns those that change what holds, and from when on cycles differ."""
    workspace_id = asked.command.workspace_id
    calendar = book.calendar(workspace_id)
    changed: dict[str, Any] = {}
    earliest: datetime | None = None
    for name, value in given.items():
        setting = Setting(*asked.stamp, channel_id, name, value, asked.record.recorded_at)
        if goes_by_cycle(setting):
            setting = setting._replace(not_before=book.closed_until(workspace_id, asked.record.recorded_at))
        if name == GRACE:
            setting = setting._replace(cycles_from=book.cycles_from.get(workspace_id))
        log = book.log[workspace_id, channel_id, name]
        entered = enter(log, setting)
        book.new_settings.append((workspace_id, setting))
        book.superseded += [(workspace_id, gone) for gone in entered.superseded]
        if entered.changed:
            changed[name] = value
        if name == GRACE and entered.changed:
            book.graces.add(workspace_id)
        if not goes_by_cycle(setting):
            key = workspace_id, channel_id, name
            book.at_once[key] = min(setting.issued_at, book.at_once.get(key, setting.issued_at))
        elif entered.changed:
            since = FIRST_INSTANT if log[0] is setting else calendar.at(setting.issued_at)[0].end
            since = max(since, setting.not_before or since)
            earliest = since if earliest is None else min(earliest, since)
    if earliest is not None:
        book.recount[workspace_id] = min(earliest, book.recount.get(workspace_id, earliest))
    return changed, earliest


async def _closing_earlier(
    tx: Connection, book: SettingsBook, workspace_ids: set[str], latest: datetime
) -> dict[str, list[EarlierClosing]]:
    """The open cycles whose instant is past, and was later, or which are new: months that are divided again."""
    tenants = await workspaces.share(tx, {(w, "", "") for w in workspace_ids})
    before = {(w, e.cycle): e.closes_at for w in workspace_ids for e in book.ended.get(w, ())}
    found: dict[str, list[EarlierClosing]] = {}
    for workspace_id, cycle, closed in await mac.ended_cycles(tx, list(tenants), latest):
        calendar = tenants[workspace_id].calendar
        known, at = before.get((workspace_id, cycle)), calendar.closes_at(cycle)
        if not closed and at <= latest and (known is None or at < known) and calendar.at(cycle.start)[0] == cycle:
            found.setdefault(workspace_id, []).append(EarlierClosing(*cycle, at))
    return found


async def _ended(tx: Connection, tenants: Mapping[str, Workspace], latest: datetime) -> dict[str, list[EndedCycle]]:
    found: dict[str, list[EndedCycle]] = defaultdict(list)
    for workspace_id, cycle, closed in await mac.ended_cycles(tx, list(tenants), latest):
        closes_at = FIRST_INSTANT if closed else tenants[workspace_id].calendar.closes_at(cycle)
        found[workspace_id].append(EndedCycle(cycle, closes_at))
    return found


def _book(tenants: Mapping[str, Workspace]) -> SettingsBook:
    log: dict[SettingName, list[Setting]] = defaultdict(list)
    for workspace_id, tenant in tenants.items():
        for setting in tenant.settings:
            log[workspace_id, setting.channel_id, setting.name].append(setting)
    return SettingsBook(log, {w: dict(tenant.channels) for w, tenant in tenants.items()})
