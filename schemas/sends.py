"""The topic `messages.outbound`: one message to one recipient, requested under an idempotency key."""

from typing import Literal
from uuid import UUID

from msgspec import Struct

from schemas.fields import Address, Channel, ChannelId, Id, Moment, Role, WorkspaceId, require_one, settle_moments
from schemas.inbound import Content

SendSource = Literal["inbox", "workflow", "broadcast", "api"]


class Recipient(Struct, frozen=True, kw_only=True, gc=False):
    """A known contact, or an address on the send's channel: exactly one."""

    contact_id: UUID | None = None
    address: Address | None = None

    def __post_init__(self) -> None:
        require_one(self, "contact_id", "address")


class Requester(Struct, frozen=True, kw_only=True, gc=False):
    """Who asked for a send."""

    id: Id
    role: Role


class Confirmation(Struct, frozen=True, kw_only=True, gc=False):
    """The answer a person gave to the alert before the send was asked for."""

    confirmed_by: Id
    confirmed_at: Moment

    def __post_init__(self) -> None:
        settle_moments(self, "confirmed_at")


class SendRequest(Struct, frozen=True, kw_only=True, gc=False):
    """A wish to send. `send_id` is the requester's idempotency key; moments are in UTC."""

    send_id: UUID
    workspace_id: WorkspaceId
    channel_id: ChannelId
    channel: Channel
    to: Recipient
    content: Content
    requested_at: Moment
    requested_by: Requester
    source: SendSource
    run_id: Id | None = None
    step_id: Id | None = None
    group_id: Id | None = None
    confirmation: Confirmation | None = None

    def __post_init__(self) -> None:
        settle_moments(self, "requested_at")
        content = self.content
        if not (content.text or content.html or content.attachments or content.template or content.subject):
            raise ValueError("Expected `text`, `subject`, `html`, `attachments` or `template` in `content`")


class InvalidSend(Struct, frozen=True, kw_only=True, gc=False):
    """A request whose ids could be read and whose other fields are wrong: refused as `invalid`, not a dead letter.

    `error` says which field is wrong, which shape came and which one fits. `channel` and `group_id`: None if
    unreadable.
    """

    send_id: UUID
    workspace_id: str
    channel: Channel | None
    group_id: str | None
    error: str
