"""What Messenger and Instagram share: events named `messaging`, and the Send API.

https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks/webhook-events
https://developers.facebook.com/documentation/business-messaging/messenger-platform/reference/send-api
"""

from datetime import datetime
from typing import Any, Final, NamedTuple

from connectors.calls import attachment_id, is_id, json_call, json_of, one_attachment
from connectors.events import (
    Person,
    attachment,
    content,
    id_of,
    message,
    reaction_id,
    receipt,
    reference_of,
    send_of,
)
from connectors.provider import Answer, Call, Channel, Outcome, Unsendable, Webhook, sent
from connectors.providers.meta import Codes, bearer, each, each_entry, failed, moment
from connectors.understanding import Understanding
from schemas.inbound import Attachment, Content
from schemas.outputs import SendDispatch

CODES: Final = Codes(
    # Limits of the app, of a user, of a page, of a business on pages, Instagram and Messenger.
    throttled={4: None, 17: None, 32: None, 613: None, 80001: None, 80002: None, 80006: None},
    stopped=frozenset({2018108, 1545041}),  # "This person isn't receiving messages from you right now"
    refused=frozenset(
        {
            *(2018278, 2018065, 2534022),  # the window of 24 hours is over; the last one is Instagram's
            *(551, 2534001, 2534014),  # the person or the thread is not available, for a reason that Meta does not name
            2018327,  # a kind of file that is not supported
        }
    ),
    later=frozenset({1200}),
)
_KINDS: Final = {"image": "image", "sticker": "image", "video": "video", "audio": "audio", "file": "file"}
_LIKES: Final = frozenset({369239263222822, 369239343222814, 369239383222810})
"""The thumb that stands beside the text field of Messenger, in three sizes."""
_ENVELOPE: Final = frozenset({"sender", "recipient", "timestamp"})
_OWN_IDS: Final = ("reaction:", "postback:")
"""Ids that Sluice made: nothing can be a reply to them."""


class Account(NamedTuple):
    """A channel, and its provider's id for it."""

    channel: Channel
    id: str


def understand(account: Account, about: str, webhook: Webhook, found: Understanding, now: datetime) -> None:
    """Adds what a webhook says of this account. `about` is the `object` of such webhooks."""

    def read(entry: dict[str, Any]) -> None:
        named = id_of(entry["id"])
        if named != account.id:
            found.accounts.add(named)
            return
        # In `standby` another app owns the conversation; the person wrote to the account all the same.
        for part in ("messaging", "standby"):
            each(found, "event", entry.get(part), lambda event: _event(account, event, found, now))
        each(found, "change", entry.get("changes"), lambda change: _change(account, change, found, now))

    each_entry(webhook, found, about, read)


def _change(account: Account, change: dict[str, Any], found: Understanding, now: datetime) -> None:
    """A change of a page, such as a comment; the documentation shows some events in this form too."""
    value = change["value"]
    if isinstance(value, dict) and {"sender", "recipient"} <= value.keys():
        _event(account, value, found, now)
    else:
        found.ignore(change["field"])


def _event(account: Account, event: dict[str, Any], found: Understanding, now: datetime) -> None:
    given = event.get("message")
    if given is not None and given.get("is_deleted"):
        found.ignore("message deleted")
    elif given is not None and given.get("is_echo"):
        _echo(account, event, given, found, now)
    elif "id" not in event.get("sender", {}):
        found.ignore("event without a person")
    elif id_of(event["sender"]["id"]) == account.id:
        found.ignore("event of the account itself")
    elif given is not None:
        what, extra = _said(given)
        _add(account, event, what, given["mid"], extra, found, now)
    elif "postback" in event:
        _postback(account, event, found, now)
    elif "reaction" in event:
        _reaction(account, event, found, now)
    elif "delivery" in event or "read" in event:
        _mark(account, event, found, now)
    else:
        found.ignore(next((name for name in event if name not in _ENVELOPE), "empty"))


def _add(
    account: Account,
    event: dict[str, Any],
    what: Content,
    id_: object,
    extra: dict[str, Any],
    found: Understanding,
    now: datetime,
    kind: str = "message",
) -> None:
    person = event["recipient"] if kind == "echo" else event["sender"]
    found.add(
        message(
            account.channel,
            Person(person["id"]),
            what,
            id_=id_,
            sent_at=moment(event.get("timestamp")),
            now=now,
            kind=kind,
            extra=extra,
        )
    )


def _echo(account: Account, event: dict[str, Any], given: dict[str, Any], found: Understanding, now: datetime) -> None:
    """What the account sent. A send of ours carries its reference, and its echo proves that Meta took it; all else was
    written by staff or another app.
    """
    send = send_of(given.get("metadata"))
    if send is None:
        what, extra = _said(given)
        _add(account, event, what, given["mid"], extra | {"app_id": given.get("app_id")}, found, now, "echo")
        return
    at = moment(event.get("timestamp")) or now
    found.add(receipt(account.channel, status="sent", at=at, id_=given["mid"], send=send))


def _postback(account: Account, event: dict[str, Any], found: Understanding, now: datetime) -> None:
    """A pressed button of a template, of the menu, or of the greeting."""
    given = event["postback"]
    id_ = given.get("mid") or f"postback:{id_of(event['sender']['id'])}:{id_of(event['timestamp'])}"
    what = content("text", given.get("title") or given.get("payload"))
    extra = {"button": given.get("payload"), "referral": given.get("referral")}
    _add(account, event, what, id_, extra, found, now)


def _reaction(account: Account, event: dict[str, Any], found: Understanding, now: datetime) -> None:
    given = event["reaction"]
    if given.get("action") != "react":
        found.ignore("reaction removed")
        return
    what = content("text", given.get("emoji") or given.get("reaction"), reply_to=given["mid"])
    id_ = reaction_id(given["mid"], event["sender"]["id"], event["timestamp"])
    _add(account, event, what, id_, {}, found, now, "reaction")


def _mark(account: Account, event: dict[str, Any], found: Understanding, now: datetime) -> None:
    """A mark of delivery names messages, that of Instagram's readers too; a mark with only a time (`watermark`) names
    none.
    """
    delivered = "delivery" in event
    mark = event["delivery" if delivered else "read"]
    mids = mark.get("mids") or ([mark["mid"]] if mark.get("mid") else [])
    if not mids:
        found.ignore("delivery of no message" if delivered else "read of no message")
    at = moment(event.get("timestamp")) or moment(mark.get("watermark")) or now
    for mid in mids:
        with found.event("mark"):
            found.add(receipt(account.channel, status="delivered" if delivered else "read", at=at, id_=mid))


def _said(given: dict[str, Any]) -> tuple[Content, dict[str, Any]]:
    attached = given.get("attachments") or []
    attached = [attached] if isinstance(attached, dict) else attached
    # While stickers got a type of their own, they came twice, with one URL.
    files = list({file.url: file for file in map(_file, attached) if file}.values())
    place = next((place for place in map(_place, attached) if place), None)
    text = given.get("text") or _like(attached)
    answered = given.get("reply_to") or {}
    extra = {
        "button": (given.get("quick_reply") or {}).get("payload"),
        "story": answered.get("story"),
        "referral": given.get("referral"),
        "location": place,
    }
    kind = "location" if place else _type(files, text)
    if place and not text:
        text = place.get("title") or f"{place['latitude']}, {place['longitude']}"
    if kind == "other":
        extra["type"] = attached[0]["type"] if attached else "unsupported" if given.get("is_unsupported") else None
    return content(kind, text, reply_to=answered.get("mid"), attachments=files), extra


def _type(files: list[Attachment], text: object) -> str:
    """A shared link or post beside a text is a text."""
    kinds = [file.kind for file in files if file.kind != "other"]
    return kinds[0] if kinds else "text" if text else "other"


def _file(given: dict[str, Any]) -> Attachment | None:
    """A file, or what a person shared; None without an address, as of a photo that can be seen once."""
    payload = given.get("payload") or {}
    url = payload.get("url") or given.get("url")
    if not url:
        return None
    return attachment(_KINDS.get(given["type"], "other"), url, name=payload.get("title") or given.get("title"))


def _place(given: dict[str, Any]) -> dict[str, Any] | None:
    found = (given.get("payload") or {}).get("coordinates")
    if not found:
        return None
    place = {"latitude": found["lat"], "longitude": found["long"], "title": given.get("title")}
    return {name: value for name, value in place.items() if value is not None}


def _like(attached: list[dict[str, Any]]) -> str | None:
    for given in attached:
        if given["type"] == "like_heart":
            return "❤️"
        if (given.get("payload") or {}).get("sticker_id") in _LIKES:
            return "👍"
    return None


def request(channel: Channel, send: SendDispatch, name: str) -> Call | Unsendable:
    """`POST /me/messages` within 24 hours after the person wrote. The echo brings the reference of the attempt back."""
    wanted = send.content
    file = one_attachment(wanted, name)
    if isinstance(file, Unsendable):
        return file
    if wanted.template is not None:
        return Unsendable("unsupported_content", f"{name} takes no templates from Sluice")
    if file is not None and wanted.text:
        return Unsendable("unsupported_content", f"{name} carries a text or a file in a message, not both")
    said: dict[str, Any]
    if file is not None:
        kind = file.kind if file.kind in _KINDS else "file"
        said = {"attachment": {"type": kind, "payload": {_address(file): attachment_id(file)}}}
    elif wanted.text:
        said = {"text": wanted.text}
    else:
        return Unsendable("unsupported_content", "there is neither text nor file")
    body = {
        "recipient": {"id": send.address},
        "messaging_type": "RESPONSE",
        "message": said | {"metadata": reference_of(send.send_id, send.attempt)},
    }
    if wanted.reply_to and not wanted.reply_to.startswith(_OWN_IDS):
        body["reply_to"] = {"mid": wanted.reply_to}
    return json_call(f"{channel.base_url}/me/messages", body, bearer(channel))


def _address(file: Attachment) -> str:
    return "attachment_id" if is_id(file) else "url"


def outcome(_channel: Channel, answer: Answer) -> Outcome:
    """A taken message has an id."""
    if answer.status == 200:
        try:
            return sent(id_of(json_of(answer)["message_id"]))
        except (LookupError, ValueError):
            pass
    return failed(answer, CODES)
