"""Makes messages and receipts from what providers say. Text is made fit to travel; nothing is fetched."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from connectors.provider import Channel
from schemas import limits
from schemas.building import extra_of, sendable
from schemas.inbound import Attachment, Content, InboundMessage, Sender, Template
from schemas.receipts import DeliveryReceipt, ReceiptError, ReceiptStatus

_LONGEST_TEXT: Final = limits.MAX_VALUE_BYTES
_LONGEST_REASON: Final = 2_000
_REFERENCE: Final = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):([1-9][0-9]{0,8})")


def text_of(value: object) -> str | None:
    """A text that a record can carry; None for nothing.

    Raises:
        ValueError: it is no text.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError("Expected a text")
    return sendable(value[:_LONGEST_TEXT])


def id_of(value: object) -> str:
    """An id of a provider, which may be a number.

    Raises:
        ValueError: it is none, or longer than a record can carry.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("Expected an id")
    written = sendable(str(value)).strip()
    if not 0 < len(written) <= limits.PROVIDER_MESSAGE_ID:
        raise ValueError(f"Expected an id of 1 to {limits.PROVIDER_MESSAGE_ID} characters")
    return written


def seconds(value: object) -> datetime | None:
    """A time in seconds since 1970, as a number or a text; None if it is no time."""
    return _time(value, 1)


def milliseconds(value: object) -> datetime | None:
    """A time in milliseconds since 1970; None if it is no time."""
    return _time(value, 1000)


def _time(value: object, unit: int) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        return datetime.fromtimestamp(float(value) / unit, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def attachment(
    kind: str, url: object, *, mime_type: object = None, size: object = None, name: object = None
) -> Attachment:
    """A file by its address; for a provider's id give `provider:ID`. What is no text or number is left out.

    Raises:
        ValueError: the address is no text.
    """
    address = text_of(url)
    if not address:
        raise ValueError("Expected the address or id of an attachment")
    return Attachment(
        kind=kind,
        url=address,
        mime_type=text_of(mime_type) if isinstance(mime_type, str) else None,
        size=size if isinstance(size, int) and not isinstance(size, bool) and 0 <= size <= limits.MAX_COUNT else None,
        name=text_of(name) if isinstance(name, str) else None,
    )


def content(
    type_: str,
    text: object = None,
    *,
    subject: object = None,
    html: object = None,
    reply_to: object = None,
    attachments: Sequence[Attachment] = (),
    template: Template | None = None,
) -> Content:
    """The content of a message. `reply_to` is the id of another message of the provider, or None."""
    return Content(
        type=type_,
        text=text_of(text),
        subject=text_of(subject),
        html=text_of(html),
        reply_to=id_of(reply_to) if reply_to is not None else None,
        attachments=tuple(attachments) or None,
        template=template,
    )


class Person(NamedTuple):
    """The other person, as the provider names them. What is no text, or too long to keep, counts as missing."""

    address: object
    name: object = None
    language: object = None
    avatar_url: object = None


def message(
    channel: Channel,
    person: Person,
    said: Content,
    *,
    id_: object,
    sent_at: datetime | None,
    now: datetime,
    kind: str = "message",
    extra: dict[str, Any] | None = None,
) -> InboundMessage:
    """A message, reaction or echo (`kind`) that came to a channel at `now`; of an echo the person is who it went to."""
    return InboundMessage(
        workspace_id=channel.workspace_id,
        channel_id=channel.channel_id,
        channel=channel.kind,  # type: ignore[arg-type] # the record is decoded before it is produced
        provider_message_id=id_of(id_),
        sender=Sender(
            address=id_of(person.address),
            name=_short(person.name, limits.NAME),
            language=_short(person.language, limits.LANGUAGE),
            avatar_url=_short(person.avatar_url, limits.URL),
        ),
        sent_at=sent_at,
        received_at=now,
        kind=kind,  # type: ignore[arg-type]
        content=said,
        extra=extra_of({} if extra is None else _sendable(extra)),
    )


def receipt(
    channel: Channel,
    *,
    status: ReceiptStatus,
    at: datetime,
    id_: object = None,
    send: tuple[UUID, int] | None = None,
    error: ReceiptError | None = None,
    contact_stopped: bool | None = None,
) -> DeliveryReceipt:
    """What the provider says of a message with its `id_`, of ours (`send`: send_id and attempt), or both."""
    return DeliveryReceipt(
        workspace_id=channel.workspace_id,
        channel_id=channel.channel_id,
        send_id=send[0] if send else None,
        attempt=send[1] if send else None,
        provider_message_id=id_of(id_) if id_ is not None else None,
        status=status,
        at=at,
        error=error,
        contact_stopped=contact_stopped,
    )


def failure(code: object, message: object, *, permanent: bool, retry_after_s: float | None = None) -> ReceiptError:
    """Why a message failed, in the provider's words, which are cut where they are long."""
    return ReceiptError(
        code=sendable(str(code))[: limits.NAME] if code is not None else None,
        message=sendable(str(message)[:_LONGEST_REASON]) if message is not None else None,
        permanent=permanent,
        retry_after_s=retry_after_s,
    )


def send_of(reference: object) -> tuple[UUID, int] | None:
    """The send_id and attempt that `reference_of` gave to a provider; None if it is something else."""
    if not isinstance(reference, str):
        return None
    written = _REFERENCE.fullmatch(reference)
    return (UUID(written[1]), int(written[2])) if written else None


def reference_of(send_id: UUID, attempt: int) -> str:
    """Our name for an attempt, where a provider carries one: `send_id:attempt`."""
    return f"{send_id}:{attempt}"


def reaction_id(reacted_to: object, sender: object, time: object) -> str:
    """The id of a reaction where the provider gives it none of its own."""
    return f"reaction:{id_of(reacted_to)}:{id_of(sender)}:{time}"


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object of a body.

    Raises:
        ValueError: it is none.
    """
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        value = _lenient(body)
    if not isinstance(value, dict):
        raise ValueError("Expected a JSON object")
    return value


def _lenient(body: bytes) -> object:
    """Some providers cut a text within a surrogate pair, which is no JSON by the book."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _sendable(value: Any) -> Any:
    if isinstance(value, str):
        return sendable(value)
    if isinstance(value, dict):
        return {sendable(name): _sendable(item) for name, item in value.items()}
    return [_sendable(item) for item in value] if isinstance(value, list) else value


def _short(value: object, longest: int) -> str | None:
    """What is too long to keep of a person counts as missing."""
    text = text_of(value) if isinstance(value, str) else None
    return text if text and len(text) <= longest else None
