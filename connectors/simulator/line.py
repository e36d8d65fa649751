"""Plays LINE's Messaging API."""

import base64
import hashlib
import hmac
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from connectors.events import json_object
from connectors.provider import Answer, Channel, Webhook
from connectors.simulator.played import ApiRequest, Played, Repeat, Report, Said, Taken, json_answer

_LONGEST_TEXT: Final = 5_000
_LONGEST_URL: Final = 2_000
_BOT: Final = "U" + "0" * 32


def take(channel: Channel, request: ApiRequest, number: int) -> Taken | Answer:
    """Takes pushes of one message."""
    if request.headers.get("authorization") != f"Bearer {channel.keys.channel_access_token.text}":
        return _error(401, "Authentication failed. Confirm that the access token in the authorization header is valid.")
    if (request.method, request.path) != ("POST", "/v2/bot/message/push"):
        return _error(404, "Not found")
    if not _is_uuid(request.headers.get("x-line-retry-key", "")):
        return _error(400, "The retry key is invalid")
    body = json_object(request.body)
    if not body.get("to"):
        return _error(400, "The property, 'to', in the request body is invalid")
    match body.get("messages"):
        case [{"type": "text", "text": str(text)}] if 0 < len(text) <= _LONGEST_TEXT:
            pass
        case [{"type": "image", "originalContentUrl": str(whole), "previewImageUrl": str(preview)}] if all(
            url.startswith("https://") and len(url) <= _LONGEST_URL for url in (whole, preview)
        ):
            text = whole
        case _:
            return _error(400, "The request body has 1 error(s)", "messages[0]")
    id_ = str(460_000_000_000_000_000 + number)
    taken = {"sentMessages": [{"id": id_, "quoteToken": f"quote-{number}"}]}
    return Taken(str(body["to"]), text, id_, json_answer(200, taken))


def say(channel: Channel, said: Said) -> Webhook:
    """A webhook with one message."""
    at = int(said.at.timestamp() * 1000)
    event = {
        "type": "message",
        "message": {"type": "text", "id": str(said.number), "quoteToken": f"quote-{said.number}", "text": said.text},
        "timestamp": at,
        "source": {"type": "user", "userId": said.sender},
        "replyToken": f"reply-{said.number}",
        "mode": "active",
        "webhookEventId": f"event-{said.number}",
        "deliveryContext": {"isRedelivery": False},
    }
    body = msgspec.json.encode({"destination": _BOT, "events": [event]})
    signature = base64.b64encode(hmac.digest(channel.keys.channel_secret.key, body, hashlib.sha256)).decode()
    return Webhook("POST", "", {"content-type": "application/json", "x-line-signature": signature}, body)


def report(_channel: Channel, _taken: Taken, _what: Report, _at: datetime) -> Webhook | None:
    """LINE reports nothing about pushed messages."""
    return None


def _key(request: ApiRequest) -> str:
    return request.headers["x-line-retry-key"].lower()


def _again(taken: Taken) -> Answer:
    said = {"message": "The retry key is already accepted"} | json_object(taken.answer.body)
    return json_answer(409, said, {"x-line-accepted-request-id": "first"})


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _error(status: int, words: str, place: str | None = None) -> Answer:
    details = [{"message": "The value is wrong", "property": place}] if place else None
    said: dict[str, Any] = {"message": words} | ({"details": details} if details else {})
    return json_answer(status, said)


PLAYED: Final = Played(
    take=take,
    say=say,
    report=report,
    faults={
        "throttled": _error(429, "The API rate limit has been exceeded. Try again later."),
        "broken": _error(500, "Internal Server Error"),
        "refused": _error(400, "The property, 'to', in the request body is invalid (line: -, column: -)"),
    },
    repeat=Repeat(_key, _again),
)
