"""Twilio Programmable Messaging, for SMS and WhatsApp: https://www.twilio.com/docs/messaging"""

import base64
import re
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from msgspec import Meta

from connectors.calls import form_call, is_id, json_bytes, json_of, retry_after
from connectors.events import Person, attachment, content, failure, message, receipt, send_of
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
    not_taken,
    refused,
    sent,
    stopped,
    throttled,
    unclear,
)
from connectors.providers.twilio_signatures import fields_of, is_form, verify
from connectors.understanding import Understanding
from schemas.building import sendable
from schemas.inbound import Attachment, Content
from schemas.outputs import SendDispatch
from schemas.receipts import ReceiptStatus

_MOST_FILES: Final = 10
_SCHEME: Final = re.compile(r"^ *(?:whatsapp|tel|sms):", re.IGNORECASE)
_SERVICE: Final = re.compile(r"MG[0-9a-fA-F]{32}")
_TEMPLATE: Final = re.compile(r"HX[0-9a-fA-F]{32}")
_RECEIPTS: Final[dict[str, ReceiptStatus]] = {
    "sent": "sent",
    "delivered": "delivered",
    "read": "read",
    "undelivered": "failed",
    "failed": "failed",
    "canceled": "failed",
}
_REFERRAL: Final = ("SourceId", "SourceType", "SourceUrl", "Headline", "Body", "CtwaClid")
"""What is known of the advertisement that a person came from."""
_STOPPED: Final = frozenset({"21610", "63014"})
"""The person answered STOP, or blocked us."""
_THROTTLED: Final = frozenset({"20429", "21611", "14107", "63017", "63018"})
_PASSING: Final = _THROTTLED | {"30001", "30003", "30022", "30036", "63010", "63012"}
"""A message that failed with these codes was not delivered, and may be delivered later."""


class TwilioKeys(Keys, frozen=True, kw_only=True):
    """`from` is a number or the id of a messaging service. `public_url` is the address of this channel's webhook as
    Twilio calls it: Twilio signs it.
    """

    account_sid: Annotated[str, Meta(pattern=r"^[0-9A-Za-z]{2,64}$")]
    auth_token: Secret
    from_: Annotated[str, Meta(min_length=1, max_length=64)] = msgspec.field(name="from")
    public_url: Url
    channel: str = "sms"

    def __post_init__(self) -> None:
        if "?" in self.public_url:
            raise ValueError("`public_url` must be without ?query")

    @property
    def kind(self) -> str:
        """The kind of the channel."""
        return self.channel


def understand(channel: Channel, webhook: Webhook, found: Understanding, now: datetime) -> None:
    """Adds what a form says: a message, or what became of one of ours. Twilio does not say when."""
    with found.event("webhook"):
        if not is_form(webhook):
            raise ValueError("Expected a form")
        fields = {name: sendable(values[0]) for name, values in fields_of(webhook.body).items()}
        if "MessageStatus" in fields:
            _status(channel, webhook, fields, found, now)
        else:
            _message(channel, fields, found, now)


def _message(channel: Channel, fields: dict[str, str], found: Understanding, now: datetime) -> None:
    said, extra = _said(fields)
    extra |= {
        "button": fields.get("ButtonPayload") or fields.get("ListId") or None,
        "opt_out": fields.get("OptOutType") or None,
        "external_user_id": fields.get("ExternalUserId") or None,
        "referral": {name: fields[f"Referral{name}"] for name in _REFERRAL if fields.get(f"Referral{name}")} or None,
    }
    person = Person(_SCHEME.sub("", fields["From"]), fields.get("ProfileName"))
    found.add(message(channel, person, said, id_=fields["MessageSid"], sent_at=None, now=now, extra=extra))


def _said(fields: dict[str, str]) -> tuple[Content, dict[str, Any]]:
    text = fields.get("ButtonText") or fields.get("Body") or fields.get("ListTitle")
    reply_to = fields.get("OriginalRepliedMessageSid") or None
    if fields.get("Latitude") and fields.get("Longitude"):
        latitude, longitude = fields["Latitude"], fields["Longitude"]
        place = {
            "latitude": _degrees(latitude),
            "longitude": _degrees(longitude),
            "title": fields.get("Label") or None,
            "address": fields.get("Address") or None,
        }
        words = place["title"] or place["address"] or text or f"{latitude}, {longitude}"
        return content("location", words, reply_to=reply_to), {"location": place}
    files = [_file(fields, number) for number in range(_count(fields.get("NumMedia")))]
    if files:
        return content(files[0].kind, text, reply_to=reply_to, attachments=files), {}
    return content("text" if text else "other", text, reply_to=reply_to), {}


def _degrees(written: str) -> float:
    if not re.fullmatch(r"-?[0-9]{1,3}(?:\.[0-9]{1,20})?", written):
        raise ValueError("Expected degrees")
    return float(written)


def _count(written: str | None) -> int:
    if not written:
        return 0
    if not re.fullmatch(r"[0-9]{1,3}", written):
        raise ValueError("Expected `NumMedia` to be a number")
    return int(written)


def _file(fields: dict[str, str], number: int) -> Attachment:
    type_ = fields.get(f"MediaContentType{number}", "")
    kind = type_.partition("/")[0]
    kind = kind if kind in ("image", "video", "audio") else "file"
    return attachment(kind, fields[f"MediaUrl{number}"], mime_type=type_ or None)


def _status(channel: Channel, webhook: Webhook, fields: dict[str, str], found: Understanding, now: datetime) -> None:
    status = _RECEIPTS.get(fields["MessageStatus"])
    if status is None:
        found.ignore(f"status {fields['MessageStatus']}")
        return
    code = fields.get("ErrorCode") or None
    words = fields.get("ErrorMessage") or fields.get("ChannelStatusMessage") or None
    error = failure(code, words, permanent=code not in _PASSING) if status == "failed" else None
    found.add(
        receipt(
            channel,
            status=status,
            at=now,
            id_=fields["MessageSid"],
            send=_send(webhook.query),
            error=error,
            contact_stopped=True if error and code in _STOPPED else None,
        )
    )


def _send(query: str) -> tuple[UUID, int] | None:
    given = fields_of(query.encode())
    return send_of(":".join(given.get(name, [""])[0] for name in ("send_id", "attempt")))


def request(channel: Channel, send: SendDispatch) -> Call | Unsendable:
    """A new message. Its reports come to the address of this channel with our reference in the query."""
    said = _written(send.content, channel.kind)
    if isinstance(said, Unsendable):
        return said
    keys = channel.keys
    ours = (
        {"MessagingServiceSid": keys.from_}
        if _SERVICE.fullmatch(keys.from_)
        else {"From": _address(channel, keys.from_)}
    )
    # Only letters that nobody writes in another way: Twilio signs the address as we gave it.
    callback = f"{keys.public_url}?send_id={send.send_id}&attempt={send.attempt}"
    account = base64.b64encode(f"{keys.account_sid}:{keys.auth_token.text}".encode()).decode()
    return form_call(
        f"{channel.base_url}/2010-04-01/Accounts/{keys.account_sid}/Messages.json",
        {"To": _address(channel, send.address), **ours, "StatusCallback": callback, **said},
        {"authorization": f"Basic {account}", "accept": "application/json"},
    )


def _written(said: Content, kind: str) -> dict[str, str | list[str]] | Unsendable:
    if said.template is not None:
        return _template(said)
    files = said.attachments or ()
    if len(files) > (1 if kind == "whatsapp" else _MOST_FILES):
        return Unsendable("unsupported_content", "Twilio carries one file in a message of WhatsApp, and ten in an MMS")
    if any(is_id(file) for file in files):
        return Unsendable("unsupported_content", "Twilio needs the address of a file")
    if not said.text and not files:
        return Unsendable("unsupported_content", "there is neither text nor file")
    body: dict[str, str | list[str]] = {"Body": said.text} if said.text else {}
    return body | ({"MediaUrl": [file.url for file in files]} if files else {})


def _template(said: Content) -> dict[str, str | list[str]] | Unsendable:
    if said.template is None or not _TEMPLATE.fullmatch(said.template.name):
        return Unsendable("unsupported_content", "A template of Twilio is named by its id, which begins with HX")
    given = said.template.parameters
    if isinstance(given, list):
        given = {str(number): value for number, value in enumerate(given, start=1)}
    if not given:
        return {"ContentSid": said.template.name}
    values = {name: value if isinstance(value, str) else json_bytes(value).decode() for name, value in given.items()}
    return {"ContentSid": said.template.name, "ContentVariables": json_bytes(values).decode()}


def _address(channel: Channel, address: str) -> str:
    bare = _SCHEME.sub("", address)
    if channel.kind != "whatsapp":
        return bare
    return f"whatsapp:+{bare}" if bare.isdecimal() else f"whatsapp:{bare}"


def outcome(_channel: Channel, answer: Answer) -> Outcome:
    """Twilio gives an error a `code` of its own."""
    said = json_of(answer)
    code, words = str(said.get("code", answer.status)), said.get("message", "")
    if 200 <= answer.status < 300:
        sid = said.get("sid")
        return sent(sid) if isinstance(sid, str) and sid else unclear("no_id", "Twilio took the message and gave no id")
    if answer.status == 429 or (code in _THROTTLED and 400 <= answer.status < 500):
        what = throttled(code, words, retry_after(answer))
    elif answer.status >= 500 or answer.status < 400:
        what = unclear(code, words)
    elif code in _STOPPED:
        what = stopped(code, words)
    elif answer.status in (401, 403, 404):  # the account, not the message
        what = not_taken(code, words)
    else:
        what = refused(code, words)
    return what


PROVIDER: Final = Provider(
    name="twilio",
    keys=TwilioKeys,
    kinds=("sms", "whatsapp"),
    base_url="https://api.twilio.com",
    verify=verify,
    understand=understand,
    request=request,
    outcome=outcome,
    acknowledges=("text/xml", b"<Response/>"),  # any other text would be sent to the person
)
