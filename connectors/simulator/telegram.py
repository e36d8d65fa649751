"""Plays Telegram's Bot API."""

from datetime import datetime
from typing import Any, Final

import msgspec

from connectors.events import json_object
from connectors.provider import Answer, Channel, Webhook
from connectors.simulator.played import ApiRequest, Played, Report, Said, Taken, json_answer

_BODIES: Final = {"sendMessage": "text", "sendPhoto": "photo", "sendVideo": "video", "sendAudio": "audio"}
_LONGEST_TEXT: Final = 4_096
_LONGEST_CAPTION: Final = 1_024


def take(channel: Channel, request: ApiRequest, number: int) -> Taken | Answer:
    """Takes `sendMessage` and the methods for files."""
    _, bot, method = [*request.path.split("/"), "", ""][:3]
    if bot != f"bot{channel.keys.bot_token.text}":
        return _error(401, "Unauthorized")
    if request.method != "POST" or not method.startswith("send"):
        return _error(404, "Not Found")
    body = json_object(request.body)
    field = _BODIES.get(method, "document")
    if not body.get(field):
        return _error(400, f"Bad Request: {field} is empty")
    text, longest = (body["text"], _LONGEST_TEXT) if field == "text" else (body.get("caption", ""), _LONGEST_CAPTION)
    if len(text) > longest:
        return _error(400, "Bad Request: message is too long")
    chat = str(body.get("chat_id", ""))
    if not chat.removeprefix("-").isdecimal():
        return _error(400, "Bad Request: chat not found")
    message = {"message_id": number, "chat": {"id": int(chat), "type": "private"}, "date": 0, field: body[field]}
    return Taken(chat, text, f"{chat}:{number}", json_answer(200, {"ok": True, "result": message}))


def say(channel: Channel, said: Said) -> Webhook:
    """An `Update` with a message."""
    person = {"id": int(said.sender), "is_bot": False, "first_name": said.name or "Somebody", "language_code": "en"}
    message = {
        "message_id": said.number,
        "from": person,
        "chat": {"id": int(said.sender), "first_name": person["first_name"], "type": "private"},
        "date": int(said.at.timestamp()),
        "text": said.text,
    }
    headers = {
        "content-type": "application/json",
        "x-telegram-bot-api-secret-token": channel.keys.secret_token.text,
    }
    return Webhook("POST", "", headers, msgspec.json.encode({"update_id": said.number, "message": message}))


def report(_channel: Channel, _taken: Taken, _what: Report, _at: datetime) -> Webhook | None:
    """Telegram reports nothing about messages of a bot."""
    return None


def _error(code: int, description: str, **more: Any) -> Answer:
    return json_answer(code, {"ok": False, "error_code": code, "description": description} | more)


PLAYED: Final = Played(
    take=take,
    say=say,
    report=report,
    faults={
        "throttled": _error(429, "Too Many Requests: retry after 2", parameters={"retry_after": 2}),
        "broken": _error(500, "Internal Server Error"),
        "stopped": _error(403, "Forbidden: bot was blocked by the user"),
        "refused": _error(400, "Bad Request: chat not found"),
    },
)
