"""The rows of answers: the columns of the views. They describe; what is answered comes from the database as it is."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

Direction = Literal["in", "out"]


class Workspace(BaseModel):
    workspace_id: str
    time_zone: str
    anchor_day: int
    mac_block_effect: str
    count_broadcasts: bool
    count_reactions: bool
    close_grace_hours: int
    mac_limit: int | None
    default_region: str | None
    quarantine_days: int
    hold_ttl_hours: int
    claim_ttl_hours: int
    message_retention_days: int | None
    merge_undo_hours: int
    two_person_confirm: bool


class Contact(BaseModel):
    """Of a blocked contact `blocked_at` and `blocked_by` as well."""

    workspace_id: str
    contact_id: UUID
    display_name: str | None
    avatar_url: str | None
    first_name: str | None
    last_name: str | None
    country: str | None
    language: str | None
    email: str | None
    phone: str | None
    assignee: str | None
    conversation_status: Literal["open", "closed", "snoozed", "blocked"]
    profile_id: str | None
    tags: list[str]
    custom: dict[str, Any]
    blocked: bool


class ContactShown(Contact):
    blocked_at: datetime | None
    blocked_by: str | None


class Message(BaseModel):
    workspace_id: str
    contact_id: UUID
    conversation_id: UUID
    message_id: UUID
    direction: Direction
    channel: str | None
    channel_id: str | None
    event_time: datetime
    content: dict[str, Any] | None
    status: str | None
    bypassed_block: bool
    kind: str
    source: str | None
    counted: bool


class Channel(BaseModel):
    workspace_id: str
    contact_id: UUID
    channel: str
    channel_id: str | None
    address: str | None
    state: Literal["active", "inactive", "unavailable"]
    connected_at: datetime | None
    opted_out: bool


class Explained(BaseModel):
    message_id: UUID | None
    channel: str | None
    kind: str | None
    event_time: datetime | None
    counted: bool | None
    explanation: str | None
    rule: str
    active: bool
    verdict: str
    counted_as: UUID


class Profile(BaseModel):
    """Of a search `contacts` as well: how many it has."""

    workspace_id: str
    profile_id: str
    name: str
    status: str | None
    companies: list[str]
    protected: bool
    reasons: list[str]
    fields: dict[str, Any]
    notes: list[dict[str, Any]]
    created_by: str | None
    created_at: datetime


class Moment(BaseModel):
    workspace_id: str
    profile_id: str
    contact_id: UUID
    message_id: UUID
    direction: Direction
    channel: str | None
    event_time: datetime
    content: dict[str, Any] | None
    attachments: list[dict[str, Any]] | None


class Hold(BaseModel):
    workspace_id: str
    send_id: UUID
    group_id: str | None
    contact_id: UUID | None
    profile_id: str | None
    channel: str | None
    content: dict[str, Any]
    reasons: list[str]
    releasable: bool
    requested_by: str
    requested_at: datetime
    held_at: datetime
    expires_at: datetime


class SendStatus(BaseModel):
    workspace_id: str
    send_id: UUID
    group_id: str | None
    contact_id: UUID | None
    channel: str | None
    status: str
    reason: str | None
    attempt: int
    updated_at: datetime
    reasons: list[str]


class Attempt(BaseModel):
    attempt: int
    dispatched_at: datetime
    claimed_at: datetime | None
    status: str | None
    provider_message_id: str | None
    error_code: str | None
    error_message: str | None
    at: datetime | None


class Confirmation(BaseModel):
    confirmed_by: str
    role: str | None
    confirmed_at: datetime
    content_sha256: str | None
    reasons: list[str]
    outcome: str


class Send(SendStatus):
    channel_id: str | None
    address: str | None
    content: dict[str, Any]
    source: str | None
    run_id: str | None
    step_id: str | None
    requested_by: str | None
    requested_role: str | None
    requested_at: datetime | None
    next_attempt_at: datetime | None
    attempts: list[Attempt]
    confirmations: list[Confirmation]


class GroupStatus(BaseModel):
    workspace_id: str
    group_id: str
    status: str
    sends: int


class Run(BaseModel):
    workspace_id: str
    run_id: str
    workflow_id: str | None
    contact_id: UUID | None
    trigger: str | None
    state: Literal["running", "halted", "refused", "finished"]
    reason: str | None
    started_at: datetime


class Drop(BaseModel):
    workspace_id: str
    contact_id: UUID
    message_id: UUID
    channel: str
    event_time: datetime
    reason: str
    rule: str | None
    counted: bool
    decided_at: datetime


class MergeSuggestion(BaseModel):
    workspace_id: str
    contact_ids: list[UUID]
    field: str
    value: str


class Merge(BaseModel):
    workspace_id: str
    merge_id: UUID
    survivor_id: UUID
    loser_id: UUID
    actor: str
    merged_at: datetime
    undone_at: datetime | None


class Deletion(BaseModel):
    workspace_id: str
    deletion_id: UUID
    requested_at: datetime
    contacts: int
    done: int
    finished_at: datetime | None


class Audited(BaseModel):
    workspace_id: str
    at: datetime
    actor: str
    command: str
    target: str | None
    outcome: str
    reason: str | None
    detail: str | None
    command_id: UUID
    role: str
    module: str | None
    issued_at: datetime | None
    changed: dict[str, Any] | None


class Count(BaseModel):
    """`at_least`, `at_most`, `as_of`: what is proven now, and what the unread records may add."""

    workspace_id: str
    cycle_start: datetime
    cycle_end: datetime
    active_contacts: int
    adjustments: int
    status: Literal["open", "closed"]
    closed_at: datetime | None
    revision: int
    at_least: int | None
    at_most: int | None
    as_of: datetime | None


class Counted(BaseModel):
    workspace_id: str
    cycle_start: datetime
    contact_id: UUID
    first_message_id: UUID
    first_counted_at: datetime


class Adjustment(BaseModel):
    adjustment_id: int
    workspace_id: str
    cycle_start: datetime
    contact_id: UUID
    amount: int
    cause: str
    at: datetime
    fact_id: str | None
