"""The topic `messages.inbound`: what a connector received. Made by decoding, never changed afterwards."""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import force_setattr

from schemas import limits
from schemas.fields import (
    Address,
    Channel,
    ChannelId,
    Language,
    Moment,
    Name,
    ProviderMessageId,
    Text,
    Title,
    Url,
    WorkspaceId,
    in_utc,
    settle_moments,
)
from schemas.mending import FORGIVEN

Kind = Literal["message", "reaction", "echo"]
ContentType = Literal["text", "image", "video", "audio", "file", "location", "other"]
AttachmentKind = Literal["image", "video", "audio", "file", "other"]

CONTENT_TYPES: Final[frozenset[str]] = frozenset(get_args(ContentType))
ATTACHMENT_KINDS: Final[frozenset[str]] = frozenset(get_args(AttachmentKind))

NO_EXTRA: Final = msgspec.Raw(b"null")
_LONG_EXPONENT = re.compile(rb"[eE]\+?0*[1-9][0-9]{2}")

if TYPE_CHECKING:
    _KindOrNull = Kind
else:
    _KindOrNull = Kind | None  # null is absent: only the decoder sees it


class Sender(Struct, frozen=True, kw_only=True, gc=False):
    """Who wrote; on an echo the contact who was written to. What is too long to keep of a person counts as missing."""

    address: Address
    name: Annotated[Name | None, Meta(extra=FORGIVEN)] = None
    language: Annotated[Language | None, Meta(extra=FORGIVEN)] = None
    avatar_url: Annotated[Url | None, Meta(extra=FORGIVEN)] = None


class Attachment(Struct, frozen=True, kw_only=True, gc=False):
    """A file by its address. `size` is in bytes; an unknown `kind` reads as `other`.

    Nothing here has a limit but the record's: a message is not lost because of its attachments.
    """

    kind: Annotated[str, Meta(extra_json_schema={"examples": [*get_args(AttachmentKind)]})]
    url: str
    mime_type: str | None = None
    size: int | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in ATTACHMENT_KINDS:
            force_setattr(self, "kind", "other")


class Template(Struct, frozen=True, kw_only=True, gc=False):
    """A message template kept by the provider, with the values for its gaps."""

    name: Title
    language: Annotated[str, Meta(min_length=1, max_length=limits.LANGUAGE)]
    parameters: list[Any] | dict[str, Any] | None = None


class Content(Struct, frozen=True, kw_only=True, gc=False):
    """The content of a message. An unknown `type` reads as `other`."""

    type: Annotated[str, Meta(extra_json_schema={"examples": [*get_args(ContentType)]})]
    text: Text | None = None
    subject: Text | None = None
    html: Text | None = None
    reply_to: ProviderMessageId | None = None
    attachments: tuple[Attachment, ...] | None = None
    template: Template | None = None

    def __post_init__(self) -> None:
        if self.type not in CONTENT_TYPES:
            force_setattr(self, "type", "other")


class InboundMessage(Struct, frozen=True, kw_only=True, gc=False):
    """One message, reaction or echo. Moments are in UTC: `sent_at` by the provider's clock,
    `received_at` by the adapter's. `extra` is the adapter's own JSON object as it was written, or `null`.
    """

    workspace_id: WorkspaceId
    channel_id: ChannelId
    channel: Channel
    provider_message_id: ProviderMessageId
    sender: Sender
    sent_at: Annotated[Moment | None, Meta(extra=FORGIVEN)] = None
    received_at: Moment
    kind: _KindOrNull = "message"
    content: Content
    extra: Annotated[msgspec.Raw, Meta(extra_json_schema={"type": ["object", "null"]})] = msgspec.field(
        default_factory=lambda: NO_EXTRA
    )

    def __post_init__(self) -> None:
        if self.kind is None:
            force_setattr(self, "kind", "message")
        received_at = self.received_at
        if received_at.tzinfo is not UTC or not limits.FIRST_YEAR <= received_at.year <= limits.MAX_YEAR:
            settle_moments(self, "received_at")
        sent_at = self.sent_at
        if sent_at is not None and (
            sent_at.tzinfo is not UTC or not limits.FIRST_YEAR <= sent_at.year <= limits.MAX_YEAR
        ):
            force_setattr(self, "sent_at", _possible(sent_at))
        if self.extra is not NO_EXTRA:
            _require_object(bytes(self.extra))


def _possible(sent_at: datetime) -> datetime | None:
    # A provider's wrong clock must not lose the message: event time falls back to the adapter's clock.
    try:
        return in_utc(sent_at)
    except ValueError:
        return None


def _require_object(extra: bytes) -> None:
    if extra == b"null":
        return
    if extra[:1] != b"{":
        raise ValueError("Expected `extra` to be an object")
    if len(extra) > limits.MAX_EXTRA_BYTES:
        raise ValueError(f"Expected `extra` of at most {limits.MAX_EXTRA_BYTES} bytes")
    # 1e999 is well-formed, but readers turn it into infinity, so decoding refuses it. Long integers stay as written.
    if _LONG_EXPONENT.search(extra) and not _is_finite(extra):
        raise ValueError("Expected numbers in `extra` that fit into 64 bits of floating point")


def _is_finite(extra: bytes) -> bool:
    try:
        msgspec.json.decode(extra)
    except msgspec.ValidationError:
        return False
    return True
