"""Plays the other side of the custom provider."""

from datetime import datetime
from typing import Any, Final

import msgspec

from connectors.events import json_object, send_of
from connectors.provider import Answer, Channel, Webhook
from connectors.providers.custom import SIGNATURE, signature_of, verify
from connectors.simulator.played import ApiRequest, Played, Repeat, Report, Said, Taken, json_answer


def take(channel: Channel, request: ApiRequest, number: int) -> Taken | Answer:
    """Takes signed messages. The time of a signature is not judged: a simulator has no clock of its own."""
    if request.method != "POST":
        return _error(405, "method", "Expected POST")
    if not _is_signed(channel, request):
        return _error(401, "signature", "The signature is wrong")
    body = json_object(request.body)
    if body.get("channelId") != channel.channel_id:
        return _error(404, "channel", "There is no such channel")
    if not send_of(body.get("mId")) or request.headers.get("idempotency-key") != body["mId"]:
        return _error(400, "mId", "Expected `mId` as in the header Idempotency-Key")
    said, contact = body.get("message"), body.get("contactId")
    if not isinstance(contact, str) or not contact or not isinstance(said, dict) or not said.get("type"):
        return _error(422, "message", "Expected `contactId` and `message`")
    id_ = f"their-{number}"
    return Taken(contact, str(said.get("text") or said["type"]), id_, json_answer(200, {"mId": id_}))


def say(channel: Channel, said: Said) -> Webhook:
    """A webhook with one message."""
    event = {
        "type": "message",
        "mId": f"in-{said.number}",
        "timestamp": int(said.at.timestamp() * 1000),
        "contactId": said.sender,
        "contact": {"name": said.name or "Somebody"},
        "message": {"type": "text", "text": said.text},
    }
    return _webhook(channel, event, said.at)


def report(channel: Channel, taken: Taken, what: Report, at: datetime) -> Webhook | None:
    """A webhook with one status."""
    status: dict[str, Any] = {"value": what}
    if what == "failed":
        status |= {"code": "unreachable", "message": "The person cannot be reached", "permanent": True}
    event = {
        "type": "message_status",
        "mId": taken.provider_message_id,
        "timestamp": int(at.timestamp() * 1000),
        "contactId": taken.recipient,
        "status": status,
    }
    return _webhook(channel, event, at)


def _webhook(channel: Channel, event: dict[str, Any], at: datetime) -> Webhook:
    body = msgspec.json.encode({"events": [event]})
    signature = signature_of(channel.keys.signing_secret, int(at.timestamp()), body)
    return Webhook("POST", "", {"content-type": "application/json", SIGNATURE: signature}, body)


def _key(request: ApiRequest) -> str:
    return request.headers["idempotency-key"]


def _again(taken: Taken) -> Answer:
    return taken.answer._replace(status=409)


def _is_signed(channel: Channel, request: ApiRequest) -> bool:
    given = request.headers.get(SIGNATURE, "")
    at = given.partition("t=")[2].partition(",")[0]
    if not at.isdecimal() or len(at) > 11:
        return False
    webhook = Webhook(request.method, request.query, request.headers, request.body)
    return verify(channel, webhook, datetime.fromtimestamp(int(at)).astimezone())


def _error(status: int, code: str, words: str) -> Answer:
    return json_answer(status, {"code": code, "message": words})


PLAYED: Final = Played(
    take=take,
    say=say,
    report=report,
    faults={
        "throttled": json_answer(429, {"code": "rate", "message": "Too fast"}, {"retry-after": "2"}),
        "broken": _error(500, "internal", "Something went wrong"),
        "refused": _error(404, "contact", "There is no such person"),
    },
    repeat=Repeat(_key, _again),
)
