"""A provider of one's own: the wire format is in docs/channels.md."""

import hashlib
import hmac
import re
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from connectors.calls import json_call, json_of, retry_after
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
    send_of,
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
    Url,
    Webhook,
    refused,
    sent,
    throttled,
    unclear,
)
from connectors.understanding import Understanding
from schemas.fields import CHANNELS
from schemas.inbound import Attachment, Content
from schemas.outputs import SendDispatch

SIGNATURE: Final = "x-sluice-signature"
_TOLERANCE_S: Final = 300
_TIME: Final = re.compile(r"[0-9]{1,12}", re.ASCII)
_STATUSES: Final = frozenset({"sent", "delivered", "read", "failed"})


class CustomKeys(Keys, frozen=True, kw_only=True):
    """`channel` is the kind of the channel. The other side and we sign with the same secret."""

    signing_secret: Secret
    send_url: Url
    channel: str

    @property
    def kind(self) -> str:
        """The kind of the channel."""
        return self.channel


def signature_of(secret: Secret, at: int, body: bytes) -> str:
    """The value of the header `X-Sluice-Signature`; `at` is in seconds."""
    return f"t={at},v1={_signed(secret, str(at), body)}"


def _signed(secret: Secret, at: str, body: bytes) -> str:
    return hmac.digest(secret.key, at.encode() + b"." + body, hashlib.sha256).hex()


def verify(channel: Channel, webhook: Webhook, now: datetime) -> bool:
    """Whether one of the signatures is right, so that a secret can be changed, and the time is near."""
    parts = [part.strip().partition("=") for part in webhook.headers.get(SIGNATURE, "").split(",")]
    times = [value for name, _, value in parts if name == "t"]
    if len(times) != 1 or not _TIME.fullmatch(times[0]):
        return False
    right = _signed(channel.keys.signing_secret, times[0], webhook.body).encode()
    matches = [hmac.compare_digest(value.encode(), right) for name, _, value in parts if name == "v1"]
    return any(matches) and abs(now.timestamp() - int(times[0])) <= _TOLERANCE_S


def understand(channel: Channel, webhook: Webhook, found: Understanding, now: datetime) -> None:
    """Adds what the events say: messages, echoes and statuses."""
    with found.event("webhook"):
        events = json_object(webhook.body)["events"]
        if not isinstance(events, list):
            raise ValueError("Expected `events` to be a list")
        if not events:
            found.ignore("empty")
        for event in events:
            with found.event():
                _event(channel, event, found, now)


def _event(channel: Channel, event: dict[str, Any], found: Understanding, now: datetime) -> None:
    match event["type"]:
        case "message":
            _message(channel, event, "message", found, now)
        case "message_echo" if send_of(event["mId"]):
            found.ignore("echo of a send")  # the send itself is known already
        case "message_echo":
            _message(channel, event, "echo", found, now)
        case "message_status":
            _status(channel, event, found, now)
        case other:
            found.ignore(other)


def _message(channel: Channel, event: dict[str, Any], kind: str, found: Understanding, now: datetime) -> None:
    about = event.get("contact") or {}
    person = Person(event["contactId"], about.get("name"), about.get("language"), about.get("avatarUrl"))
    sent_at, said = milliseconds(event.get("timestamp")), _said(event["message"])
    found.add(message(channel, person, said, id_=event["mId"], sent_at=sent_at, now=now, kind=kind))


def _said(given: dict[str, Any]) -> Content:
    kind = given.get("type", "text")
    if not isinstance(kind, str):
        raise ValueError("Expected `type` to be a text")
    files = [
        attachment(
            file["kind"], file["url"], mime_type=file.get("mimeType"), size=file.get("size"), name=file.get("name")
        )
        for file in given.get("attachments") or ()
    ]
    return content(
        kind,
        given.get("text"),
        subject=given.get("subject"),
        html=given.get("html"),
        reply_to=given.get("replyTo"),
        attachments=files,
    )


def _status(channel: Channel, event: dict[str, Any], found: Understanding, now: datetime) -> None:
    status = event["status"]
    value = status["value"]
    if value not in _STATUSES:
        found.ignore(f"status {value}")
        return
    failed = value == "failed"
    permanent = status.get("permanent", False) is True
    send = send_of(event["mId"])
    found.add(
        receipt(
            channel,
            status=value,
            at=milliseconds(event.get("timestamp")) or now,
            id_=None if send else event["mId"],
            send=send,
            error=failure(status.get("code"), status.get("message"), permanent=permanent) if failed else None,
        )
    )


def request(channel: Channel, send: SendDispatch) -> Call | Unsendable:
    """The message to `send_url`; a `base_url` of the channel stands for its scheme and host."""
    parts = urlsplit(channel.keys.send_url)
    host = channel.base_url or f"{parts.scheme}://{parts.netloc}"
    reference = reference_of(send.send_id, send.attempt)
    body = {
        "mId": reference,
        "channelId": channel.channel_id,
        "contactId": send.address,
        "message": _written(send.content),
    }
    return json_call(
        f"{host}{parts.path or '/'}{'?' if parts.query else ''}{parts.query}", body, {"idempotency-key": reference}
    )


def _written(said: Content) -> dict[str, Any]:
    whole = {
        "type": said.type,
        "text": said.text,
        "subject": said.subject,
        "html": said.html,
        "replyTo": said.reply_to,
        "attachments": [_file(file) for file in said.attachments] if said.attachments else None,
        "template": said.template,
    }
    return {name: value for name, value in whole.items() if value is not None}


def _file(file: Attachment) -> dict[str, Any]:
    whole = {"kind": file.kind, "url": file.url, "mimeType": file.mime_type, "size": file.size, "name": file.name}
    return {name: value for name, value in whole.items() if value is not None}


def sign(channel: Channel, call: Call, now: datetime) -> Call:
    """Signed as webhooks are."""
    signature = signature_of(channel.keys.signing_secret, int(now.timestamp()), call.body)
    return call._replace(headers={**call.headers, SIGNATURE: signature})


def outcome(_channel: Channel, answer: Answer) -> Outcome:
    """The other side promises to take a key once: 409 means that it took it before."""
    said = json_of(answer)
    code, words = said.get("code", answer.status), said.get("message", "")
    match answer.status:
        case status if 200 <= status < 300 or status == 409:
            what = _taken(said)
        case 429:
            what = throttled(code, words, retry_after(answer))
        case 503 if retry_after(answer) is not None:
            what = throttled(code, words, retry_after(answer))
        case status if 400 <= status < 500:
            what = refused(code, words)
        case _:
            what = unclear(code, words)
    return what


def _taken(said: dict[str, Any]) -> Outcome:
    try:
        return sent(id_of(said["mId"]))
    except (LookupError, ValueError):
        return unclear("no_id", "The answer has no `mId`")


PROVIDER: Final = Provider(
    name="custom",
    keys=CustomKeys,
    kinds=tuple(sorted(CHANNELS)),
    base_url="",
    verify=verify,
    understand=understand,
    request=request,
    outcome=outcome,
    sign=sign,
    repeats=True,
)
