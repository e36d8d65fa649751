"""Tells Sluice the names and regions of channels that the channels file has, as commands of the file."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID, uuid5

import msgspec

from connectors.provider import Channel
from schemas.actors import Actor
from schemas.building import Record
from schemas.settings_commands import ConfigureChannel
from workers.process.production import Produced

TOPIC: Final = "contacts.commands"
_NAMESPACE: Final = UUID("0d0f6c0e-6d1b-4f0a-9f57-5f3f0b1c9a52")
_ACTOR: Final = Actor(id="channels-file", role="system", module="settings")


def announcements(channels: Sequence[Channel], file: Path) -> list[Produced]:
    """A command for each channel with a name or a region, issued when the file was written. The same file gives the
    same commands, which Sluice applies once: what a person sets later stays, until the file is written again.
    """
    written_at = datetime.fromtimestamp(int(file.stat().st_mtime), UTC)
    return [_announcement(channel, written_at) for channel in channels if channel.name or channel.default_region]


def _announcement(channel: Channel, written_at: datetime) -> Produced:
    told = (channel.place, channel.kind, channel.name or "", channel.default_region or "", written_at.isoformat())
    command = ConfigureChannel(
        command_id=uuid5(_NAMESPACE, "\0".join(told)),
        workspace_id=channel.workspace_id,
        actor=_ACTOR,
        issued_at=written_at,
        channel_id=channel.channel_id,
        channel=channel.kind,  # type: ignore[arg-type] # one of the kinds of its provider
        name=channel.name,
        default_region=channel.default_region,
    )
    key = f"{channel.workspace_id}:settings".encode()
    return Produced(Record(TOPIC, key, msgspec.json.encode(command)))
