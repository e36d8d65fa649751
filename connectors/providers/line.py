"""LINE, by a Messaging API channel: https://developers.line.biz/en/reference/messaging-api/"""

import base64
import hashlib
import hmac
from datetime import datetime
from typing import Any, ClassVar, Final
from uuid import uuid5

from connectors.calls import is_id, json_call, json_of, retry_after, text_or_file
from connectors.events import Person, attachment, content, id_of, json_object, message, milliseconds, text_of
from connectors.provider import (
    Answer,
    Call,
    Channel,
    Keys,
    Outcome,
    Provider,
    Secret,
    Unsendable,
    Webhook,
    not_taken,
    refused,
    sent,
    throttled,
    unclear,
)
from connectors.understanding import Understanding
from schemas.inbound import Content
from schemas.outputs import SendDispatch

_FILES: Final = frozenset({"image", "video", "audio", "file"})
_MENU: Final = "newRichMenuAliasId"
"""A parameter of postbacks that only change the menu on the screen."""


class LineKeys(Keys, frozen=True, kw_only=True):
    """`channel_access_token` is a long-lived one."""

    default_kind: ClassVar[str] = "line"
    channel_secret: Secret
    channel_access_token: Secret


def verify(channel: Channel, webhook: Webhook, _now: datetime) -> bool:
    """LINE signs the body with the secret of the channel."""
    digest = hmac.digest(channel.keys.channel_secret.key, webhook.body, hashlib.sha256)
    given = webhook.headers.get("x-line-signature", "")
    return hmac.compare_digest(given.encode(), base64.b64encode(digest))


def understand(channel: Channel, webhook: Webhook, found: Understanding, now: datetime) -> None:
    """Adds what the events say: messages, and buttons that send data back."""
    with found.event("webhook"):
        events = json_object(webhook.body)["events"]
        if not isinstance(events, list):
            raise ValueError("Expected `events` to be a list")
        if not events:  # a test of the address
            found.ignore("empty")
        for event in events:
            with found.event():
                _event(channel, event, found, now)


def _event(channel: Channel, event: dict[str, Any], found: Understanding, now: datetime) -> None:
    kind = event["type"]
    if kind not in ("message", "postback"):
        found.ignore(kind)
        return
    if event["source"]["type"] != "user":
        found.ignore(f"{kind} of a group")
        return
    if kind == "message":
        given = event["message"]
        id_, (said, extra) = id_of(given["id"]), _said(given)
    elif _MENU in (event["postback"].get("params") or {}):
        found.ignore("menu changed")
        return
    else:
        # A postback has no id of a message. The id of the event stays the same when LINE repeats it.
        id_, (said, extra) = f"postback:{id_of(event['webhookEventId'])}", _pressed(event["postback"])
    sent_at = milliseconds(event.get("timestamp"))
    found.add(message(channel, Person(event["source"]["userId"]), said, id_=id_, sent_at=sent_at, now=now, extra=extra))


def _said(given: dict[str, Any]) -> tuple[Content, dict[str, Any]]:
    kind, reply_to = given["type"], given.get("quotedMessageId")
    if kind == "text":
        return content("text", given["text"], reply_to=reply_to), {}
    if kind in _FILES:
        outside = given.get("contentProvider", {}).get("originalContentUrl")
        file = attachment(
            kind,
            outside or f"provider:{id_of(given['id'])}",
            size=given.get("fileSize"),
            name=given.get("fileName"),
        )
        return content(kind, reply_to=reply_to, attachments=[file]), {}
    if kind == "location":
        place = {name: given.get(name) for name in ("latitude", "longitude", "title", "address")}
        text = place["title"] or place["address"] or f"{given['latitude']}, {given['longitude']}"
        return content("location", text), {"location": place}
    if kind == "sticker":
        sticker = {"package_id": text_of(given["packageId"]), "sticker_id": text_of(given["stickerId"])}
        return content("other", given.get("text"), reply_to=reply_to), {"sticker": sticker}
    return content("other", given.get("text")), {}


def _pressed(postback: dict[str, Any]) -> tuple[Content, dict[str, Any]]:
    """LINE does not repeat the title of a button, so its data is the text; a chosen date or time comes with it."""
    data, params = postback["data"], postback.get("params") or {}
    chosen = next((params[name] for name in ("datetime", "date", "time") if name in params), None)
    return content("text", chosen or data), {"button": text_of(data)}


def request(channel: Channel, send: SendDispatch) -> Call | Unsendable:
    """A push of one message. The key lets LINE take it once, however often it is repeated within 24 hours."""
    said = _message(send.content)
    if isinstance(said, Unsendable):
        return said
    headers = {
        "authorization": f"Bearer {channel.keys.channel_access_token.text}",
        "x-line-retry-key": str(uuid5(send.send_id, str(send.attempt))),
    }
    body = {"to": send.address, "messages": [said]}
    return json_call(f"{channel.base_url}/v2/bot/message/push", body, headers)


def _message(said: Content) -> dict[str, str] | Unsendable:
    file = text_or_file(said, "LINE")
    if isinstance(file, Unsendable):
        return file
    if file is None:
        return {"type": "text", "text": str(said.text)}
    if said.text:
        return Unsendable("unsupported_content", "LINE carries a text or a file in a message, not both")
    if file.kind != "image" or is_id(file):
        # A video needs a preview image, and an audio its duration: we know neither.
        return Unsendable("unsupported_content", "LINE carries images by their address, and no other files")
    return {"type": "image", "originalContentUrl": file.url, "previewImageUrl": file.url}


def outcome(_channel: Channel, answer: Answer) -> Outcome:
    """409: LINE took the same call before, and repeats the id that it gave then."""
    said = json_of(answer)
    code, words = answer.status, _words(said)
    match answer.status:
        case 200 | 409:
            what = _taken(said)
        case 429 if "limit" in words and "monthly" in words:  # nothing will pass before the next month
            what = not_taken(code, words)
        case 429:
            what = throttled(code, words, retry_after(answer))
        case 401 | 403:  # the token or the plan, not the message
            what = not_taken(code, words)
        case status if 400 <= status < 500:
            what = refused(code, words)
        case _:
            what = unclear(code, words)
    return what


def _taken(said: dict[str, Any]) -> Outcome:
    try:
        return sent(id_of(said["sentMessages"][0]["id"]))
    except (LookupError, TypeError, ValueError):
        return unclear("no_id", "LINE took the message and gave no id")


def _words(said: dict[str, Any]) -> str:
    details = said.get("details")
    first = details[0] if isinstance(details, list) and details and isinstance(details[0], dict) else {}
    return ": ".join(str(part) for part in (said.get("message"), first.get("property"), first.get("message")) if part)


PROVIDER: Final = Provider(
    name="line",
    keys=LineKeys,
    kinds=("line",),
    base_url="https://api.line.me",
    verify=verify,
    understand=understand,
    request=request,
    outcome=outcome,
    repeats=True,
)
