"""Telegram, by a bot: https://core.telegram.org/bots/api"""

import hmac
import re
from datetime import datetime
from typing import Any, ClassVar, Final

from connectors.calls import attachment_id, json_call, json_of, text_or_file
from connectors.events import Person, attachment, content, id_of, json_object, message, reaction_id, seconds, text_of
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

_FILES: Final = {
    "photo": "image",
    "sticker": "image",
    "video": "video",
    "video_note": "video",
    "animation": "video",
    "audio": "audio",
    "voice": "audio",
    "document": "file",
}
"""Telegram's fields of files, and our kind of each. An `animation` is in `document` as well: the first one counts."""
_METHODS: Final = {"image": "sendPhoto", "video": "sendVideo", "audio": "sendAudio"}
_PERSON: Final = ("first_name", "last_name")
_MESSAGE_ID: Final = re.compile(r"-?\d+:(\d+)")


class TelegramKeys(Keys, frozen=True, kw_only=True):
    """`secret_token` is what was given to `setWebhook`."""

    default_kind: ClassVar[str] = "telegram"
    bot_token: Secret
    secret_token: Secret


def verify(channel: Channel, webhook: Webhook, _now: datetime) -> bool:
    """Telegram repeats the token of `setWebhook` in a header; it signs nothing."""
    given = webhook.headers.get("x-telegram-bot-api-secret-token", "")
    return hmac.compare_digest(given.encode(), channel.keys.secret_token.key)


def understand(channel: Channel, webhook: Webhook, found: Understanding, now: datetime) -> None:
    """Adds what an `Update` says: a message, a pressed button or a reaction."""
    with found.event("update"):
        update = json_object(webhook.body)
        if "message" in update:
            _message(channel, update["message"], found, now)
        elif "callback_query" in update:
            _pressed(channel, update["callback_query"], found, now)
        elif "message_reaction" in update:
            _reaction(channel, update["message_reaction"], found, now)
        else:
            found.ignore(next((name for name in update if name != "update_id"), "empty"))


def _message(channel: Channel, given: dict[str, Any], found: Understanding, now: datetime) -> None:
    if given["chat"]["type"] != "private":
        found.ignore("message of a group")
        return
    said, extra = _said(given)
    if said is None:
        found.ignore("service message")
        return
    person = given["from"]
    found.add(
        message(
            channel,
            _person(given["chat"], person),
            said,
            id_=_id(given["chat"], given["message_id"]),
            sent_at=seconds(given.get("date")),
            now=now,
            extra={"username": person.get("username")} | extra,
        )
    )


def _said(given: dict[str, Any]) -> tuple[Content | None, dict[str, Any]]:
    answered = given.get("reply_to_message")
    reply_to = _id(answered["chat"], answered["message_id"]) if answered else None
    if "text" in given:
        return content("text", given["text"], reply_to=reply_to), {}
    for field, kind in _FILES.items():
        if field in given:
            file = _file(field, kind, given[field])
            text = given.get("caption") or (given[field].get("emoji") if field == "sticker" else None)
            return content(kind, text, reply_to=reply_to, attachments=[file]), {}
    if "location" in given:
        place = given["location"] | given.get("venue", {})
        extra = {name: place.get(name) for name in ("latitude", "longitude", "title", "address")}
        text = place.get("title") or f"{place['latitude']}, {place['longitude']}"
        return content("location", text, reply_to=reply_to), {"location": extra}
    if "contact" in given:
        card = given["contact"]
        text = f"{_name(card)} {card['phone_number']}".strip()
        return content("other", text, reply_to=reply_to), {"contact": {"phone": card["phone_number"]}}
    if "poll" in given or "dice" in given:
        return content("other", given.get("poll", given.get("dice", {})).get("question"), reply_to=reply_to), {}
    return None, {}


def _file(field: str, kind: str, given: Any) -> Attachment:
    file = given[-1] if field == "photo" else given  # the last one is the largest
    return attachment(
        kind,
        f"provider:{id_of(file['file_id'])}",
        mime_type=file.get("mime_type"),
        size=file.get("file_size"),
        name=file.get("file_name"),
    )


def _pressed(channel: Channel, query: dict[str, Any], found: Understanding, now: datetime) -> None:
    """A button under a message of ours: its title is the text."""
    under = query.get("message")
    if under is None or under["chat"]["type"] != "private":
        found.ignore("button of a group")
        return
    rows = under.get("reply_markup", {}).get("inline_keyboard", [])
    titles = [button["text"] for row in rows for button in row if button.get("callback_data") == query.get("data")]
    text = titles[0] if titles else query.get("data")
    found.add(
        message(
            channel,
            _person(under["chat"], query["from"]),
            content("text", text, reply_to=_id(under["chat"], under["message_id"])),
            id_=f"{id_of(under['chat']['id'])}:callback:{id_of(query['id'])}",
            sent_at=None,  # Telegram does not say when it was pressed
            now=now,
            extra={"button": text_of(query.get("data"))},
        )
    )


def _reaction(channel: Channel, given: dict[str, Any], found: Understanding, now: datetime) -> None:
    if given["chat"]["type"] != "private":
        found.ignore("reaction in a group")
        return
    before = [_emoji(one) for one in given["old_reaction"]]
    new = [emoji for emoji in map(_emoji, given["new_reaction"]) if emoji not in before]
    if not new:
        found.ignore("reaction removed")
        return
    reacted_to, person = _id(given["chat"], given["message_id"]), given["user"]
    found.add(
        message(
            channel,
            _person(given["chat"], person),
            content("text", new[0], reply_to=reacted_to),
            id_=reaction_id(reacted_to, person["id"], given["date"]),
            sent_at=seconds(given["date"]),
            now=now,
            kind="reaction",
        )
    )


def _emoji(reaction: dict[str, Any]) -> str:
    return str(reaction.get("emoji") or reaction.get("custom_emoji_id") or reaction["type"])


def _person(chat: dict[str, Any], user: dict[str, Any]) -> Person:
    return Person(chat["id"], _name(user), user.get("language_code"))


def _name(person: dict[str, Any]) -> str:
    return " ".join(str(person[part]) for part in _PERSON if person.get(part))


def _id(chat: dict[str, Any], message_id: object) -> str:
    return f"{id_of(chat['id'])}:{id_of(message_id)}"


def request(channel: Channel, send: SendDispatch) -> Call | Unsendable:
    """`sendMessage`, or the method of the kind of file."""
    file = text_or_file(send.content, "Telegram")
    if isinstance(file, Unsendable):
        return file
    body: dict[str, Any] = {"chat_id": send.address}
    if file is None:
        method, body["text"] = "sendMessage", send.content.text
    else:
        method = _METHODS.get(file.kind, "sendDocument")
        body[method.removeprefix("send").lower()] = attachment_id(file)
        if send.content.text:
            body["caption"] = send.content.text
    if answered := _MESSAGE_ID.fullmatch(send.content.reply_to or ""):
        body["reply_parameters"] = {"message_id": int(answered[1]), "allow_sending_without_reply": True}
    return json_call(f"{channel.base_url}/bot{channel.keys.bot_token.text}/{method}", body)


def outcome(_channel: Channel, answer: Answer) -> Outcome:
    """Telegram says `ok` and, if not, an `error_code` equal to the HTTP status with a `description`."""
    said = json_of(answer)
    code, words = said.get("error_code", answer.status), said.get("description", "")
    match answer.status:
        case 200 if said.get("ok") is True:
            return _taken(said)
        case 429:
            what = throttled(code, words, _retry_after(said))
        case 403:
            what = stopped(code, words)
        case 401 | 404:  # the token, not the message
            what = not_taken(code, words)
        case status if 400 <= status < 500:
            what = refused(code, words)
        case _:
            what = unclear(code, words)
    return what


def _taken(said: dict[str, Any]) -> Outcome:
    try:
        return sent(_id(said["result"]["chat"], said["result"]["message_id"]))
    except (LookupError, TypeError, ValueError):
        return unclear("no_id", "Telegram took the message and gave no id")


def _retry_after(said: dict[str, Any]) -> float | None:
    parameters = said.get("parameters")
    given = parameters.get("retry_after") if isinstance(parameters, dict) else None
    return float(given) if isinstance(given, int | float) and given >= 0 else None


PROVIDER: Final = Provider(
    name="telegram",
    keys=TelegramKeys,
    kinds=("telegram",),
    base_url="https://api.telegram.org",
    verify=verify,
    understand=understand,
    request=request,
    outcome=outcome,
)
