"""What happens to a workspace, as plain values: what the reference model reads and tests turn into records.

A `person` names the owner of an address; `logged_at` is Kafka's timestamp. Equal facts are one fact delivered twice.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

Kind = Literal["message", "reaction", "echo"]
Trigger = Literal["automatic", "shortcut"]


@dataclass(frozen=True, slots=True)
class Message:
    person: str
    channel: str
    channel_id: str
    provider_message_id: str
    kind: Kind
    sent_at: datetime | None
    received_at: datetime
    logged_at: datetime
    text: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """A block or an unblock."""

    person: str
    unblocks: bool
    issued_at: datetime
    logged_at: datetime
    command_id: UUID
    actor: str


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting that goes by cycle; `channel_id` is '' for the workspace's own."""

    channel_id: str
    name: str
    value: Any
    issued_at: datetime
    command_id: UUID


@dataclass(frozen=True, slots=True)
class Start:
    run_id: str
    person: str
    trigger: Trigger
    parent: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Step:
    run_id: str
    step_id: str
    action: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Finish:
    run_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Command:
    """Any other command: `person` is its target, or None; `given` are its own fields as JSON text."""

    command: str
    person: str | None
    given: str
    issued_at: datetime
    logged_at: datetime
    command_id: UUID

    @property
    def fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = json.loads(self.given)
        return fields


Fact = Message | Block | Setting | Start | Step | Finish | Command
