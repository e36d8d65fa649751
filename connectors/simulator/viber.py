"""Plays Viber's REST API for bots."""

import hashlib
import hmac
from datetime import datetime
from typing import Any, Final

import msgspec

from connectors.events import json_object
from connectors.provider import Answer, Channel, Webhook
from connectors.simulator.played import ApiRequest, Played, Report, Said, Taken, json_answer

_LONGEST_TEXT: Final = 7_000
_LONGEST_CAPTION: Final = 512
_LONGEST_NAME: Final = 28
_LARGEST: Final = 30 * 1024
_FIRST_TOKEN: Final = 4_912_661_846_655_238_000
_EVENTS: Final = {"delivered": "delivered", "read": "seen", "failed": "failed"}
_NEEDED: Final = {
    "text": {"text"},
    "picture": {"text", "media"},
    "video": {"media", "size"},
    "file": {"media", "size", "file_name"},
}


def take(channel: Channel, request: ApiRequest, number: int) -> Taken | Answer:
    """Takes `send_message`. Viber answers 200 to what it refuses, and says why in the body."""
    if request.path != "/pa/send_message" or request.method != "POST":
        return json_answer(404, {})
    if request.headers.get("x-viber-auth-token") != channel.keys.auth_token.text:
        return _answer(2, "invalidAuthToken")
    body = json_object(request.body)
    name = body.get("sender", {}).get("name", "")
    if len(request.body) > _LARGEST or not isinstance(body.get("min_api_version"), int):
        return _answer(3, "badData")
    needed = _NEEDED.get(str(body.get("type")), {"type"})
    if not body.get("receiver") or not name or not needed <= body.keys():
        return _answer(4, "missingData")
    text = str(body.get("text", ""))
    longest = _LONGEST_TEXT if body["type"] == "text" else _LONGEST_CAPTION
    if len(name) > _LONGEST_NAME or len(text) > longest:
        return _answer(3, "badData")
    token = _FIRST_TOKEN + number
    answer = _answer(0, "ok", message_token=token, chat_hostname="SN-CHAT-01_", billing_status=1)
    return Taken(str(body["receiver"]), text or str(body["media"]), str(token), answer)


def say(channel: Channel, said: Said) -> Webhook:
    """A webhook of the event `message`."""
    sender = {"id": said.sender, "name": said.name or "Somebody", "language": "en", "country": "GB", "api_version": 10}
    event = {
        "event": "message",
        "timestamp": int(said.at.timestamp() * 1000),
        "message_token": _FIRST_TOKEN + said.number,
        "sender": sender,
        "message": {"type": "text", "text": said.text},
    }
    return _webhook(channel, event)


def report(channel: Channel, taken: Taken, what: Report, at: datetime) -> Webhook | None:
    """A webhook of the event `delivered`, `seen` or `failed`."""
    event: dict[str, Any] = {
        "event": _EVENTS[what],
        "timestamp": int(at.timestamp() * 1000),
        "message_token": int(taken.provider_message_id),
        "user_id": taken.recipient,
    }
    if what == "failed":
        event["desc"] = "failure description"
    return _webhook(channel, event)


def _webhook(channel: Channel, event: dict[str, Any]) -> Webhook:
    body = msgspec.json.encode(event)
    signature = hmac.digest(channel.keys.auth_token.key, body, hashlib.sha256).hex()
    return Webhook("POST", "", {"content-type": "application/json", "x-viber-content-signature": signature}, body)


def _answer(status: int, words: str, **more: Any) -> Answer:
    return json_answer(200, {"status": status, "status_message": words} | more)


PLAYED: Final = Played(
    take=take,
    say=say,
    report=report,
    faults={
        "throttled": _answer(12, "tooManyRequests"),
        "broken": json_answer(500, {}),
        "stopped": _answer(6, "receiverNotSubscribed"),
        "refused": _answer(5, "receiverNotRegistered"),
    },
)
