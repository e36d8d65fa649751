"""Answers that are no row of one view."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

from console.api.rows import Workspace


class Configured(BaseModel):
    """What is configured, at most 1,000 of each: the columns of `workspace_settings`, `settings_in_effect`, `channels`,
    `profile_statuses`, `companies`, `field_definitions`, `tags`.
    """

    workspace: Workspace
    in_effect: list[dict[str, Any]]
    channels: list[dict[str, Any]]
    statuses: list[dict[str, Any]]
    companies: list[dict[str, Any]]
    fields: list[dict[str, Any]]
    tags: list[dict[str, Any]]


class MaySend(BaseModel):
    """`not_known`: why an answer of true is not certain."""

    allowed: bool
    reason: str | None
    reasons: list[str]
    not_known: str | None


class Impact(BaseModel):
    """A figure of 10,001 means more than 10,000. `active_contacts`: what the command adds to the counts of open
    cycles.
    """

    runs: int
    holds: int
    messages: int
    contacts: int
    active_contacts: int


class CommandResult(BaseModel):
    """As on `commands.results`."""

    command_id: UUID
    command: str
    outcome: Literal["done", "refused"]
    reason: str | None
    detail: str | None
    changed: dict[str, Any]


class CommandGiven(BaseModel):
    """The command is produced, and its result is not there yet: it will be at `Location`."""

    command_id: UUID


class SendGiven(BaseModel):
    """The request is produced, and not judged yet: the send will be at `Location`."""

    send_id: UUID


class Backlog(BaseModel):
    """What is stored but not published or done. `holds`: 1,001 means more than 1,000."""

    unpublished_batches: int
    unpublished_events: int
    contacts_to_publish: int
    counts_to_publish: int
    pending_work: int
    parked_receipts: int
    holds: int


class Letters(BaseModel):
    status: str
    letters: int
    newest: datetime


class Status(BaseModel):
    """`verification_round`: the last one; null: none yet."""

    backlog: Backlog
    dead_letters: list[Letters]
    pending_work: list[dict[str, Any]]
    closing_delays: list[dict[str, Any]]
    verification_round: dict[str, Any] | None


class Partition(BaseModel):
    topic: str
    partition: int
    consumer_group: str
    owner: str | None
    next_offset: int | None
    updated_at: datetime
    working: bool


class DeadLetter(BaseModel):
    id: int
    source_topic: str
    source_partition: int
    source_offset: int
    error: str
    first_seen: datetime
    attempts: int
    status: Literal["new", "replayed", "dismissed"]
    content: Literal["kept", "not kept", "erased"]


class Settled(BaseModel):
    """What became of a dead letter. `unchanged`: for `reason`."""

    id: int
    outcome: Literal["replayed", "dismissed", "unchanged"]
    reason: str | None
