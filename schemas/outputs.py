"""Outputs: one struct per topic, and the way to build an accepted message without encoding it twice.

Absent values are null, times are in UTC.
"""

from datetime import datetime
from hashlib import sha256
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct, UnsetType

from schemas import limits
from schemas.fields import Channel, Direction, FieldValue, Moment
from schemas.inbound import Content, InboundMessage, Kind
from schemas.sends import Confirmation, SendSource

ENCODER: Final = msgspec.json.Encoder()

VerdictName = Literal["accepted", "dropped"]
SendState = Literal[
    "requested",
    "held",
    "released",
    "refused",
    "rejected",
    "expired",
    "cancelled",
    "dispatched",
    "sent",
    "delivered",
    "read",
    "failed",
    "ambiguous",
]


class MessageAccepted(InboundMessage, frozen=True, kw_only=True, gc=False):
    """`messages.accepted`: the message with its ids and verdict. Written by `accepted_value`."""

    kind: Kind
    message_id: UUID
    direction: Direction
    contact_id: UUID
    conversation_id: UUID
    profile_id: str | None
    event_time: Moment
    revision: int


class MessageDropped(Struct, frozen=True, kw_only=True, gc=False):
    """`messages.dropped`: that a message was dropped, never what it said."""

    workspace_id: str
    message_id: UUID
    contact_id: UUID
    channel: Channel
    channel_id: str
    reason: Literal["contact_blocked", "contact_deleted"]
    event_time: Moment
    decided_at: Moment


class MessageRevised(Struct, frozen=True, kw_only=True, gc=False, rename={"from_": "from"}):
    """`messages.revised` to `dropped`; to `accepted` see `RevisedToAccepted`."""

    workspace_id: str
    message_id: UUID
    contact_id: UUID
    from_: VerdictName
    to: VerdictName
    reason: Literal["late_block", "late_unblock", "released"]
    revised_at: Moment
    revision: int


class RevisedToAccepted(MessageAccepted, frozen=True, kw_only=True, gc=False, rename={"from_": "from"}):
    """`messages.revised` to `accepted`: also the message. Written by `revised_to_accepted_value`."""

    from_: VerdictName
    to: VerdictName
    reason: Literal["late_block", "late_unblock", "released"]
    revised_at: Moment


class SendDispatch(Struct, frozen=True, kw_only=True, gc=False):
    """`sends.dispatch`: one attempt, for a sender to claim."""

    workspace_id: str
    send_id: UUID
    attempt: int
    channel_id: str
    channel: Channel
    contact_id: UUID
    address: str
    content: Content
    source: SendSource
    group_id: str | None
    confirmation: Confirmation | None


class SendStatus(Struct, frozen=True, kw_only=True, gc=False):
    """`sends.status`: `reasons` are a hold's, `reason` is a refusal's or cancellation's.

    `detail` is there only if the request was `invalid`: for people, which field, what shape came, what fits.
    """

    workspace_id: str
    send_id: UUID
    contact_id: UUID | None
    status: SendState
    reason: str | None
    reasons: list[str] | None
    attempt: int | None
    at: Moment
    actor: str | None
    revision: int
    detail: str | UnsetType = UNSET


class WorkflowControl(Struct, frozen=True, kw_only=True, gc=False):
    """`workflows.control`: what a run may do; `outcome` is a held send's."""

    workspace_id: str
    run_id: str
    control: Literal["step_granted", "step_resolved", "run_halted", "run_refused"]
    step_id: str | None
    outcome: Literal["sent", "failed", "rejected", "expired", "cancelled", "refused"] | None
    reason: str | None
    contact_id: UUID | None
    at: Moment
    revision: int


class CommandResult(Struct, frozen=True, kw_only=True, gc=False):
    """`commands.results`: `reason` and `detail` only of a refusal; `changed` is empty when nothing changed.

    `detail` is for people: which field, what shape came, what fits.
    """

    workspace_id: str
    command_id: UUID
    command: str
    outcome: Literal["done", "refused"]
    reason: str | None
    detail: str | None
    changed: dict[str, Any]


class IdentityFact(Struct, frozen=True, kw_only=True, gc=False):
    """An identity as `contacts.changes` shows it; `channel_id` only where it is part of the identity."""

    channel: Channel
    channel_id: str | None
    address: str


class ContactChange(Struct, frozen=True, kw_only=True, gc=False):
    """`contacts.changes`: a contact as it is now; `fields` are its custom fields."""

    workspace_id: str
    contact_id: UUID
    display_name: str | None
    first_name: str | None
    last_name: str | None
    country: str | None
    language: str | None
    email: str | None
    phone: str | None
    assignee: str | None
    avatar_url: str | None
    fields: dict[str, FieldValue]
    identities: list[IdentityFact]
    tags: list[str]
    blocked: bool
    profile_id: str | None
    conversation_status: Literal["open", "closed", "snoozed", "blocked"]
    revision: int


class MacCount(Struct, frozen=True, kw_only=True, gc=False):
    """`billing.mac`: a cycle's count; it holds from `cycle_start` to before `cycle_end`."""

    workspace_id: str
    cycle_start: Moment
    cycle_end: Moment
    active_contacts: int
    adjustments: int
    status: Literal["open", "closed"]
    revision: int


class BillingAlert(Struct, frozen=True, kw_only=True, gc=False):
    """`billing.alerts`: a count reached `threshold` percent of the workspace's `limit`."""

    workspace_id: str
    cycle_start: Moment
    threshold: int
    active_contacts: int
    limit: int
    at: Moment


class DeadLetterReference(Struct, frozen=True, kw_only=True, gc=False):
    """The value on `dead.letters` for a record too large to repeat: size in bytes, SHA-256 in hex."""

    size: int
    sha256: str


class _Acceptance(Struct, frozen=True, gc=False):
    message_id: UUID
    direction: Direction
    contact_id: UUID
    conversation_id: UUID
    profile_id: str | None
    event_time: datetime
    revision: int


class _Revision(Struct, frozen=True, kw_only=True, gc=False, rename={"from_": "from"}):
    from_: VerdictName
    to: VerdictName
    reason: str
    revised_at: datetime


def encode_body(message: InboundMessage) -> bytes:
    """The message's own fields as JSON: they are stored, and `accepted_value` uses them."""
    return ENCODER.encode(message)


def accepted_value(
    body: bytes,
    *,
    message_id: UUID,
    direction: Direction,
    contact_id: UUID,
    conversation_id: UUID,
    profile_id: str | None,
    event_time: datetime,
    revision: int,
) -> bytes:
    """The value for `messages.accepted` from `encode_body`'s bytes."""
    acceptance = _Acceptance(message_id, direction, contact_id, conversation_id, profile_id, event_time, revision)
    return _spliced(body, ENCODER.encode(acceptance))


def revised_to_accepted_value(
    accepted: bytes, *, reason: Literal["late_unblock", "released"], revised_at: datetime
) -> bytes:
    """The value for `messages.revised` to `accepted` from `accepted_value`'s bytes."""
    revision = _Revision(from_="dropped", to="accepted", reason=reason, revised_at=revised_at)
    return _spliced(accepted, ENCODER.encode(revision))


def dead_letter_value(raw: bytes) -> bytes:
    """The record byte for byte, or a reference to it when it is too large to repeat."""
    if len(raw) <= limits.MAX_DEAD_LETTER_BYTES:
        return raw
    return ENCODER.encode(DeadLetterReference(size=len(raw), sha256=sha256(raw).hexdigest()))


def _spliced(first: bytes, second: bytes) -> bytes:
    # Both are objects with at least one member and without white space at their ends.
    return first[:-1] + b"," + second[1:]
