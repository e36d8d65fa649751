"""Webhooks that were verified and not understood: they are kept byte for byte on a topic, and can be mapped again."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from connectors.provider import Channel, Webhook
from schemas.building import Record
from schemas.fields import utc_text
from schemas.topics import UNMAPPED
from workers.process.production import Headers, Produced

LARGEST: Final = 5 * 1024 * 1024
_LARGEST_REFERENCE: Final = 256
_KEPT: Final = ("content-type", "x-envelope-from", "x-envelope-to")
"""Headers of a webhook that say how to read its body."""
_LONGEST_ERROR: Final = 1_000


def unmapped(channel: Channel, webhook: Webhook, errors: Sequence[str], now: datetime) -> Produced:
    """The record of a webhook that came at `now`."""
    body = webhook.body
    if len(body) > LARGEST:
        body = msgspec.json.encode(_Reference(len(body), sha256(body).hexdigest()))
    headers = [
        ("provider", channel.provider.name.encode()),
        ("error", "; ".join(errors)[:_LONGEST_ERROR].encode()),
        ("received_at", utc_text(now).encode()),
        ("query", _bytes(webhook.query)),
        *((name, _bytes(webhook.headers[name])) for name in _KEPT if name in webhook.headers),
    ]
    return Produced(Record(UNMAPPED.name, channel_key(channel), body), headers)


def _bytes(text: str) -> bytes:
    """An envelope's address may hold bytes that are no UTF-8: they come as lone surrogates, and go as they came."""
    return text.encode("utf-8", "surrogateescape")


class _Reference(Struct, frozen=True, forbid_unknown_fields=True):
    """What stands for a body that is too large to keep. `size` is in bytes."""

    size: Annotated[int, Meta(gt=LARGEST)]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


def is_reference(value: bytes) -> bool:
    """Whether the body of a webhook was too large to keep."""
    if len(value) > _LARGEST_REFERENCE:
        return False
    try:
        msgspec.json.decode(value, type=_Reference)
    except (msgspec.MsgspecError, ValueError):
        return False
    return True


def channel_key(channel: Channel) -> bytes:
    """The key of the records of a channel."""
    return f"{channel.workspace_id}:{channel.channel_id}".encode()


def webhook_of(value: bytes, headers: Headers) -> Webhook:
    """The inverse of `unmapped`, for a body that was kept."""
    told: dict[str, Any] = {name: content.decode("utf-8", "replace") for name, content in headers}
    return Webhook("POST", told.get("query", ""), {name: told[name] for name in _KEPT if name in told}, value)
