"""configure_workspace and configure_channel: values appended to the log of settings, under the workspace's own lock."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from msgspec import UNSET

from schemas.commands import ConfigureChannel, ConfigureWorkspace
from workers.commands.asked import Asked
from workers.inbound.recounting import recount
from workers.rules.cycles import Setting
from workers.rules.results import Done, Refused, Result
from workers.rules.settings import CHANNEL_DEFAULTS, WORKSPACE_DEFAULTS, changes, goes_by_cycle
from workers.runtime.batch import Connection
from workers.store import workspaces
from workers.store.commands import CommandKey
from workers.store.workspaces import Workspace

Name = tuple[str, str, str]
"""(workspace_id, channel_id or '', name of a setting)."""


@dataclass(slots=True)
class Book:
    """What is set, and what the commands add to it."""

    log: dict[Name, list[Setting]]
    channels: dict[tuple[str, str], str]
    new_settings: list[tuple[str, Setting]] = field(default_factory=list)
    new_channels: list[tuple[str, str, str]] = field(default_factory=list)
    recount: set[str] = field(default_factory=set)


async def carry_out(
    tx: Connection,
    asked: Sequence[Asked[ConfigureWorkspace | ConfigureChannel]],
    tenants: Mapping[str, Workspace],
    now: datetime,
) -> dict[CommandKey, Result]:
    """The results of the commands; all `tenants` they belong to are locked for a change of their settings."""
    book = _book(tenants)
    results = {a.key: decide(book, a) for a in asked}
    await workspaces.add_channels(tx, book.new_channels)
    await workspaces.add_settings(tx, book.new_settings)
    if book.recount:
        await recount(tx, book.recount, now)
    return results


def decide(book: Book, asked: Asked[ConfigureWorkspace | ConfigureChannel]) -> Result:
    """The result of a command, already written into the book."""
    command = asked.command
    if isinstance(command, ConfigureWorkspace):
        given = {name: value for name in WORKSPACE_DEFAULTS if (value := getattr(command.set, name)) is not UNSET}
        return Done(_write(book, asked, "", given))
    channel = (command.workspace_id, command.channel_id)
    made = {} if channel in book.channels else {"channel": command.channel}
    if book.channels.setdefault(channel, command.channel) != command.channel:
        return Refused("invalid")
    if made:
        book.new_channels.append((*channel, command.channel))
    given = {name: value for name in CHANNEL_DEFAULTS if (value := getattr(command, name)) is not None}
    return Done(made | _write(book, asked, command.channel_id, given))


def _write(book: Book, asked: Asked[Any], channel_id: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Appends the given values; returns those that change what holds."""
    workspace_id = asked.command.workspace_id
    changed: dict[str, Any] = {}
    for name, value in given.items():
        setting = Setting(*asked.stamp, channel_id, name, value)
        log = book.log[workspace_id, channel_id, name]
        if changes(log, setting):
            changed[name] = value
            if goes_by_cycle(setting):
                book.recount.add(workspace_id)
        log.append(setting)
        book.new_settings.append((workspace_id, setting))
    return changed


def _book(tenants: Mapping[str, Workspace]) -> Book:
    log: dict[Name, list[Setting]] = defaultdict(list)
    for workspace_id, tenant in tenants.items():
        for setting in tenant.settings:
            log[workspace_id, setting.channel_id, setting.name].append(setting)
    return Book(log, {(w, c): kind for w, tenant in tenants.items() for c, kind in tenant.channels.items()})
