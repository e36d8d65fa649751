"""Plays Mailgun: its API of messages, its events, and a route that posts mail."""

import hmac
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from hashlib import sha256
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import msgspec

from connectors.provider import Answer, Channel, Webhook
from connectors.providers.addresses import mailboxes
from connectors.simulator.played import ApiRequest, Played, Report, Said, Taken, json_answer

_LARGEST_OPTIONS: Final = 16 * 1024
_MOST_FIELDS: Final = 200
_EVENTS: Final = {"delivered": "delivered", "read": "opened", "failed": "failed"}


def take(channel: Channel, request: ApiRequest, number: int) -> Taken | Answer:
    """Takes a message to one person."""
    login = b64encode(f"api:{channel.keys.api_key.text}".encode()).decode()
    if request.headers.get("authorization") != f"Basic {login}":
        return Answer(401, {"content-type": "text/plain"}, b"Forbidden")
    if (request.method, request.path) != ("POST", f"/v3/{channel.keys.domain}/messages"):
        return _error(404, "Domain not found")
    try:
        given = dict(parse_qsl(request.body.decode(), max_num_fields=_MOST_FIELDS))
    except ValueError:
        return _error(400, "the form cannot be read")
    if wrong := _wrong(given):
        return _error(400, wrong)
    id_ = given.get("h:Message-Id", f"<{number}.simulated@{channel.keys.domain}>").strip("<>")
    variables = {name[2:]: value for name, value in given.items() if name.startswith("v:")}
    return Taken(
        recipient=mailboxes(given["to"])[0].address,
        text=given.get("text") or given.get("html") or given.get("template", ""),
        provider_message_id=id_,
        answer=json_answer(200, {"id": f"<{id_}>", "message": "Queued. Thank you."}),
        reference=msgspec.json.encode({"from": given["from"], "variables": variables}).decode(),
    )


def _wrong(given: Mapping[str, str]) -> str | None:
    for name in ("from", "to"):
        if not mailboxes(given.get(name, "")):
            return f"{name} parameter is not a valid address. please check documentation"
    if not any(given.get(name) for name in ("text", "html", "template")):
        return "Need at least one of 'text', 'html', 'amp-html' or 'template' parameters specified"
    options = {name: value for name, value in given.items() if name.startswith(("o:", "h:", "v:", "t:"))}
    if sum(len(name) + len(value.encode()) for name, value in options.items()) > _LARGEST_OPTIONS:
        return "the options are larger than 16 KiB together"
    return None


def say(channel: Channel, said: Said) -> Webhook:
    """The form that a route posts."""
    writer = f'"{said.name}" <{said.sender}>' if said.name and '"' not in said.name else said.sender
    first = said.text.splitlines()[0][:60] if said.text.strip() else "Hello"
    id_ = f"<{said.number}.simulated@{said.sender.rpartition('@')[2]}>"
    headers = [
        ["From", writer],
        ["To", channel.keys.own.address],
        ["Subject", first],
        ["Date", format_datetime(said.at)],
        ["Message-Id", id_],
    ]
    form = {
        "recipient": channel.keys.own.address,
        "sender": said.sender,
        "from": writer,
        "subject": first,
        "body-plain": said.text,
        "stripped-text": said.text,
        "message-headers": msgspec.json.encode(headers).decode(),
        "Message-Id": id_,
        **_signed(channel, said.at, said.number),
    }
    return Webhook("POST", "", {"content-type": "application/x-www-form-urlencoded"}, urlencode(form).encode())


def report(channel: Channel, taken: Taken, what: Report, at: datetime) -> Webhook:
    """An event of a message."""
    reference = msgspec.json.decode(taken.reference)
    event: dict[str, Any] = {
        "event": _EVENTS[what],
        "timestamp": at.timestamp(),
        "domain": {"name": channel.keys.domain},
        "recipient": taken.recipient,
        "message": {"headers": {"message-id": taken.provider_message_id}},
        "user-variables": reference["variables"],
    }
    if what == "failed":
        words = "5.1.1 The email account that you tried to reach does not exist"
        event |= {
            "severity": "permanent",
            "reason": "bounce",
            "delivery-status": {"attempt-no": 1, "code": 550, "enhanced-code": "5.1.1", "message": words},
        }
    if what != "read":  # as Mailgun does, which knows only the id of a message that is opened
        event["message"]["headers"] |= {"from": reference["from"], "to": taken.recipient}
    number = int.from_bytes(sha256(taken.provider_message_id.encode()).digest()[:4])
    body = {"signature": _signed(channel, at, number), "event-data": event}
    return Webhook("POST", "", {"content-type": "application/json"}, msgspec.json.encode(body))


def _signed(channel: Channel, at: datetime, number: int) -> dict[str, str]:
    timestamp, token = str(int(at.timestamp())), f"{number:050x}"
    signature = hmac.new(channel.keys.signing_key.key, f"{timestamp}{token}".encode(), sha256).hexdigest()
    return {"timestamp": timestamp, "token": token, "signature": signature}


def _error(status: int, message: str) -> Answer:
    return json_answer(status, {"message": message})


PLAYED: Final = Played(
    take=take,
    say=say,
    report=report,
    faults={
        "throttled": json_answer(429, {"message": "Too many requests"}, {"retry-after": "2"}),
        "broken": _error(500, "Internal Server Error"),
        "refused": _error(400, "to parameter is not a valid address. please check documentation"),
    },
)
