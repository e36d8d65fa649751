"""Plays WhatsApp's Cloud API."""

from datetime import datetime
from typing import Any, Final

from connectors.provider import Answer, Channel, Webhook
from connectors.simulator.meta import LONGEST_REFERENCE, asked, error, missing, signed
from connectors.simulator.played import ApiRequest, Played, Report, Said, Taken, json_answer

_LONGEST: Final = {"text": 4_096, "image": 1_024, "video": 1_024, "document": 1_024}
_MEDIA: Final = frozenset({"image", "video", "audio", "document"})
_UNDELIVERABLE: Final = {
    "code": 131026,
    "title": "Message undeliverable",
    "message": "Message undeliverable",
    "error_data": {"details": "Message Undeliverable."},
}


def take(channel: Channel, request: ApiRequest, number: int) -> Taken | Answer:
    """Takes `POST /{phone_number_id}/messages`."""
    body = asked(channel, request, f"/{channel.keys.phone_number_id}/messages")
    if isinstance(body, Answer):
        return body
    recipient = str(body.get("to") or body.get("recipient") or "")
    wrong = _wrong(body, recipient)
    if wrong is not None:
        return wrong
    kind = body["type"]
    text = {"text": "body", "template": "name"}.get(kind, "caption")
    id_ = f"wamid.HBgL{number:08d}"
    contact = {"input": recipient, "wa_id": recipient.removeprefix("+")}
    answer = {"messaging_product": "whatsapp", "contacts": [contact], "messages": [{"id": id_}]}
    return Taken(
        recipient,
        body[kind].get(text, ""),
        id_,
        json_answer(200, answer),
        body.get("biz_opaque_callback_data", ""),
    )


def _wrong(body: dict[str, Any], recipient: str) -> Answer | None:
    kind = body.get("type", "text")
    if body.get("messaging_product") != "whatsapp":
        return missing("messaging_product")
    if not recipient.removeprefix("+").replace(".", "").isalnum():
        return missing("to")
    given = body.get(kind)
    if not isinstance(given, dict):
        return missing(kind)
    if len(body.get("biz_opaque_callback_data", "")) > LONGEST_REFERENCE:
        return error(400, 100, f"(#100) Param biz_opaque_callback_data must be at most {LONGEST_REFERENCE} characters")
    return _wrong_content(kind, given)


def _wrong_content(kind: str, given: dict[str, Any]) -> Answer | None:
    if kind in _MEDIA and not (given.get("link") or given.get("id")):
        return error(400, 131009, "(#131009) Parameter value is not valid", error_data={"details": "no link and no id"})
    if kind == "template" and not (given.get("name") and given.get("language", {}).get("code")):
        return error(400, 132001, "(#132001) Template name does not exist in the translation")
    return _too_long(kind, given)


def _too_long(kind: str, given: dict[str, Any]) -> Answer | None:
    name = "body" if kind == "text" else "caption"
    text = given.get(name, "")
    if kind == "text" and not text:
        return missing("text['body']")
    if len(text) > _LONGEST.get(kind, 0):
        return error(
            400, 100, f"(#100) Param {kind}['{name}'] must be at most {_LONGEST.get(kind, 0)} characters long."
        )
    return None


def say(channel: Channel, said: Said) -> Webhook:
    """A webhook with a text. A `sender` such as `US.1349` is a person who hides the number."""
    number = said.sender.removeprefix("+")
    hidden = not number.isdecimal()
    profile = {"profile": {"name": said.name or "Somebody"}} | ({"user_id": number} if hidden else {"wa_id": number})
    message = {
        "from_user_id" if hidden else "from": number,
        "id": f"wamid.HBgM{said.number:08d}",
        "timestamp": str(int(said.at.timestamp())),
        "type": "text",
        "text": {"body": said.text},
    }
    return _webhook(channel, {"contacts": [profile], "messages": [message]})


def report(channel: Channel, taken: Taken, what: Report, at: datetime) -> Webhook | None:
    """A status of a message."""
    status: dict[str, Any] = {
        "id": taken.provider_message_id,
        "status": what,
        "timestamp": str(int(at.timestamp())),
        "recipient_id": taken.recipient.removeprefix("+"),
    }
    if taken.reference:
        status["biz_opaque_callback_data"] = taken.reference
    if what == "failed":
        status["errors"] = [_UNDELIVERABLE]
    return _webhook(channel, {"statuses": [status]})


def _webhook(channel: Channel, value: dict[str, Any]) -> Webhook:
    metadata = {"display_phone_number": "15550000000", "phone_number_id": channel.keys.phone_number_id}
    whole = {"messaging_product": "whatsapp", "metadata": metadata} | value
    return signed(channel, "whatsapp_business_account", {"id": "1", "changes": [{"value": whole, "field": "messages"}]})


PLAYED: Final = Played(
    take=take,
    say=say,
    report=report,
    faults={
        "throttled": error(400, 130429, "(#130429) Rate limit hit"),
        "broken": error(500, 131000, "(#131000) Something went wrong"),
        "stopped": error(400, 131050, "(#131050) User has stopped receipt of marketing messages"),
        "refused": error(400, 131047, "(#131047) Re-engagement message"),
    },
)
