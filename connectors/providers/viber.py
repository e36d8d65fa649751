"""Viber, by a bot: https://developers.viber.com/docs/api/rest-bot-api/"""

import hashlib
import hmac
from datetime import datetime
from typing import Any, ClassVar, Final

from connectors.calls import is_id, json_call, json_of, retry_after, text_or_file
from connectors.events import (
    Person,
    attachment,
    content,
    failure,
    id_of,
    json_object,
    message,
    milliseconds,
    receipt,
    reference_of,
    text_of,
)
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
    stopped,
    throttled,
    unclear,
)
from connectors.understanding import Understanding
from schemas.inbound import Attachment, Content
from schemas.outputs import SendDispatch
from schemas.receipts import ReceiptStatus

_LONGEST_NAME: Final = 28
_LONGEST_FILE_NAME: Final = 256
_DEFAULT_NAME: Final = "Support"
_FILES: Final = {"picture": "image", "video": "video", "file": "file"}
_RECEIPTS: Final[dict[object, ReceiptStatus]] = {"delivered": "delivered", "seen": "read", "failed": "failed"}
_NOT_SUBSCRIBED: Final = 6
_TOO_MANY: Final = 12
_OF_THE_ACCOUNT: Final = frozenset({2, 7, 8, 9, 10, 15, 23, 24})
"""Token, blocked or suspended account, no webhook, not authorised, nothing left to pay with: not the message."""
_OF_THE_MESSAGE: Final = frozenset({1, 3, 4, 5, 11, 13, 14, 16, 17, 18, 19, 20, 21, 22})


class ViberKeys(Keys, frozen=True, kw_only=True):
    """`auth_token` makes calls, and Viber signs with it."""

    default_kind: ClassVar[str] = "viber"
    auth_token: Secret


def verify(channel: Channel, webhook: Webhook, _now: datetime) -> bool:
    """Viber signs the body with the token of the account."""
    digest = hmac.digest(channel.keys.auth_token.key, webhook.body, hashlib.sha256).hex()
    return hmac.compare_digest(webhook.headers.get("x-viber-content-signature", "").encode(), digest.encode())


def understand(channel: Channel, webhook: Webhook, found: Understanding, now: datetime) -> None:
    """Adds what an event says: a message, or what became of one of ours."""
    with found.event():
        event = json_object(webhook.body)
        kind = event["event"]
        if kind == "message":
            _message(channel, event, found, now)
        elif kind in _RECEIPTS:
            _receipt(channel, event, found, now)
        else:
            found.ignore(kind)


def _message(channel: Channel, event: dict[str, Any], found: Understanding, now: datetime) -> None:
    sender = event["sender"]
    said, extra = _said(event["message"])
    found.add(
        message(
            channel,
            Person(sender["id"], sender.get("name"), sender.get("language"), sender.get("avatar")),
            said,
            id_=event["message_token"],
            sent_at=milliseconds(event.get("timestamp")),
            now=now,
            # Viber repeats what we gave with our last message to this person.
            extra={"tracking_data": text_of(event["message"].get("tracking_data")) or None} | extra,
        )
    )


def _said(given: dict[str, Any]) -> tuple[Content, dict[str, Any]]:
    match given["type"]:
        case "text":
            said, extra = content("text", given["text"]), dict[str, Any]()
        case "url":
            parts = (text_of(given.get("text")), text_of(given["media"]))
            said, extra = content("text", "\n".join(part for part in parts if part)), {}
        case kind if kind in _FILES:
            said, extra = _file(given, _FILES[kind]), {}
        case "location":
            said, extra = _place(given["location"])
        case "contact":
            said, extra = _card(given["contact"])
        case "sticker":
            said, extra = content("other"), {"sticker": id_of(given["sticker_id"])}
        case _:
            said, extra = content("other", given.get("text")), {}
    return said, extra


def _file(given: dict[str, Any], kind: str) -> Content:
    size = given.get("file_size", given.get("size"))
    file = attachment(kind, given["media"], size=size, name=given.get("file_name"))
    return content(kind, given.get("text"), attachments=[file])


def _place(given: dict[str, Any]) -> tuple[Content, dict[str, Any]]:
    place = {"latitude": given["lat"], "longitude": given["lon"], "address": given.get("address")}
    return content("location", place["address"] or f"{given['lat']}, {given['lon']}"), {"location": place}


def _card(given: dict[str, Any]) -> tuple[Content, dict[str, Any]]:
    phone = text_of(given["phone_number"])
    return content("other", f"{text_of(given.get('name')) or ''} {phone}".strip()), {"contact": {"phone": phone}}


def _receipt(channel: Channel, event: dict[str, Any], found: Understanding, now: datetime) -> None:
    status = _RECEIPTS[event["event"]]
    # A message fails on the person's device, which does not accept its content: it will fail again.
    error = failure(None, event.get("desc"), permanent=True) if status == "failed" else None
    at = milliseconds(event.get("timestamp")) or now
    found.add(receipt(channel, status=status, at=at, id_=event["message_token"], error=error))


def request(channel: Channel, send: SendDispatch) -> Call | Unsendable:
    """`send_message`, of the type of its content."""
    said = _written(send.content)
    if isinstance(said, Unsendable):
        return said
    body = {
        "receiver": send.address,
        "min_api_version": 1,
        "sender": {"name": (channel.name or _DEFAULT_NAME)[:_LONGEST_NAME]},
        "tracking_data": reference_of(send.send_id, send.attempt),
    }
    headers = {"x-viber-auth-token": channel.keys.auth_token.text}
    return json_call(f"{channel.base_url}/pa/send_message", body | said, headers)


def _written(said: Content) -> dict[str, Any] | Unsendable:
    file = text_or_file(said, "Viber")
    if isinstance(file, Unsendable):
        return file
    if file is None:
        return {"type": "text", "text": said.text}
    if is_id(file):
        return Unsendable("unsupported_content", "Viber needs the address of a file")
    if file.kind == "image":
        return {"type": "picture", "text": said.text or "", "media": file.url}
    if said.text:
        return Unsendable("unsupported_content", "Viber carries a text with an image, and with no other file")
    return _with_size(file)


def _with_size(file: Attachment) -> dict[str, Any] | Unsendable:
    if file.size is None:
        return Unsendable("unsupported_content", "Viber needs the size of a file")
    if file.kind == "video":
        return {"type": "video", "media": file.url, "size": file.size}
    name = file.name or file.url.partition("?")[0].rpartition("/")[2] or "file"
    return {"type": "file", "media": file.url, "size": file.size, "file_name": name[-_LONGEST_FILE_NAME:]}


def outcome(_channel: Channel, answer: Answer) -> Outcome:
    """The `status` of the body decides, if there is one: 0 is success."""
    said = json_of(answer)
    code, words = said.get("status"), said.get("status_message", "")
    if isinstance(code, bool) or not isinstance(code, int):
        return _by_http(answer, words)
    if code == 0:
        return _taken(said)
    if code == _NOT_SUBSCRIBED:
        what = stopped(code, words)
    elif code == _TOO_MANY:
        what = throttled(code, words, retry_after(answer))
    elif code in _OF_THE_ACCOUNT:
        what = not_taken(code, words)
    elif code in _OF_THE_MESSAGE:
        what = refused(code, words)
    else:
        what = unclear(code, words)
    return what


def _by_http(answer: Answer, words: object) -> Outcome:
    match answer.status:
        case 429:
            what = throttled(answer.status, words, retry_after(answer))
        case 401 | 403:
            what = not_taken(answer.status, words)
        case status if 400 <= status < 500:
            what = refused(answer.status, words)
        case 200:
            what = unclear("no_id", "Viber answered without a status")
        case _:
            what = unclear(answer.status, words)
    return what


def _taken(said: dict[str, Any]) -> Outcome:
    try:
        return sent(id_of(said["message_token"]))
    except (LookupError, ValueError):
        return unclear("no_id", "Viber took the message and gave no id")


PROVIDER: Final = Provider(
    name="viber",
    keys=ViberKeys,
    kinds=("viber",),
    base_url="https://chatapi.viber.com",
    verify=verify,
    understand=understand,
    request=request,
    outcome=outcome,
)
