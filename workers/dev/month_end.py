"""What follows the recorded day: the months of one workspace close, and late facts change what they should be."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import msgspec
from asyncpg import Pool

from workers.dev.recording import DAY, Recorded
from workers.store.queries import load

_SQL: Final = load("demo")
_WORKSPACE: Final = "lumen-br"
_OVER: Final = DAY.start + timedelta(hours=26)

MESSAGES: Final = 1
COMMANDS: Final = 4
MERGES: Final = 1
"""How many messages, commands and merges there are besides the day's."""

ADJUSTED: Final = (
    ("late message", "late_message", 1),
    ("late block", "late_block", -1),
    ("late merge", "merge", -1),
)
"""What the late facts do to the first closed month: what, its cause, and the amount."""


@dataclass(frozen=True, slots=True)
class MonthEnd:
    """The records that follow the day. Until then the months of the workspaces stay open for years."""

    pool: Pool

    def keep_open(self) -> Sequence[Recorded]:
        """A command for the one workspace whose months would close while the day is played, because it is long past."""
        early = DAY.start - timedelta(hours=1)
        return [_command("configure_workspace", early, early, "masala-care", set={"close_grace_hours": 80_000})]

    def shorten(self) -> Sequence[Recorded]:
        """The command that has the months close, as if it came at the end of the day."""
        return [_command("configure_workspace", _OVER, _OVER, set={"close_grace_hours": 72})]

    async def closed(self) -> bool:
        """Whether the months that are over are closed."""
        return bool(await self.pool.fetchval(_SQL["is_closed"], _WORKSPACE, _OVER + timedelta(days=31)))

    async def adjusted(self) -> bool:
        """Whether every late fact has become an adjustment, or none."""
        return not await self.pool.fetchval(_SQL["adjusting"])

    async def late(self) -> Sequence[Recorded]:
        """Of the first closed month: a message of somebody new, a block, and a merge from before it closed."""
        found = await self.pool.fetch(_SQL["untouched"], _WORKSPACE)
        month: datetime = found[0]["cycle_start"]
        blocked, survivor, loser = (str(row["contact_id"]) for row in found)
        now, early = _now(), month + timedelta(hours=9)
        return [
            _record("messages.inbound", f"{_WORKSPACE}:whatsapp:late", now, _message(early)),
            _command("block_contact", month, now, contact_id=blocked),
            _command("merge_contacts", _OVER, now, survivor_id=survivor, loser_id=loser),
        ]


def _message(at: datetime) -> Mapping[str, Any]:
    return {
        "workspace_id": _WORKSPACE,
        "channel_id": "wa-lumen",
        "channel": "whatsapp",
        "provider_message_id": "late-1",
        "sender": {"address": "+5511987650000", "name": "Late"},
        "received_at": at,
        "content": {"type": "text", "text": "Are you there?"},
    }


def _command(
    name: str, issued_at: datetime, recorded_at: datetime, workspace_id: str = _WORKSPACE, **fields: Any
) -> Recorded:
    command = {
        "command_id": uuid4(),
        "workspace_id": workspace_id,
        "command": name,
        "actor": {"id": "olga", "role": "owner", "module": "api"},
        "issued_at": issued_at,
        **fields,
    }
    return _record("contacts.commands", f"{workspace_id}:{fields.get('contact_id', 'settings')}", recorded_at, command)


def _record(topic: str, key: str, recorded_at: datetime, value: Mapping[str, Any]) -> Recorded:
    return Recorded(topic, key.encode(), msgspec.json.encode(value), int(recorded_at.timestamp() * 1000))


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), DAY.start.tzinfo)
