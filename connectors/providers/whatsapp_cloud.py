"""WhatsApp, by Meta's Cloud API: https://developers.facebook.com/documentation/business-messaging/whatsapp"""

import re
from datetime import datetime
from typing import Any, ClassVar, Final

from connectors.calls import json_call, json_of
from connectors.events import Person, content, failure, id_of, message, receipt, reference_of, send_of
from connectors.provider import Answer, Call, Channel, Outcome, Provider, Unsendable, Webhook, sent
from connectors.providers.meta import (
    GRAPH,
    AccountId,
    Codes,
    MetaKeys,
    bearer,
    challenge,
    each,
    each_entry,
    failed,
    graph_error,
    is_permanent,
    moment,
    verify,
)
from connectors.providers.whatsapp_contents import body_of, said
from connectors.understanding import Understanding
from schemas.inbound import Content
from schemas.outputs import SendDispatch
from schemas.receipts import ReceiptStatus

_CODES: Final = Codes(
    # An account's and a number's limits; a pair of numbers may talk once in six seconds.
    throttled={4: None, 80007: None, 130429: None, 131048: None, 131056: 6.0, 131064: None, 133016: None},
    stopped=frozenset({131050}),
    refused=frozenset(),
    # A service is down, an account in maintenance, Meta could not fetch the file of a link, or the token's account has
    # no such number.
    later=frozenset({33, 131016, 131053, 131057, 133004, 2494100}),
)
_STATUSES: Final[dict[object, ReceiptStatus]] = {
    "sent": "sent",
    "delivered": "delivered",
    "read": "read",
    "played": "read",  # a voice message
    "failed": "failed",
}
_NO_MESSAGES: Final = frozenset({"system", "edit", "revoke", "request_welcome"})
_USER_ID: Final = re.compile(r"[A-Z]{2}\.[A-Za-z0-9.]+")
"""A business-scoped user id, which stands for a person who hides the number."""


class WhatsAppCloudKeys(MetaKeys, frozen=True, kw_only=True):
    """`phone_number_id` is the id of the business's number, not the number."""

    default_kind: ClassVar[str] = "whatsapp"
    phone_number_id: AccountId


def understand(channel: Channel, webhook: Webhook, found: Understanding, now: datetime) -> None:
    """Adds the messages, statuses and echoes that a webhook says of the channel's own number."""

    def read(entry: dict[str, Any]) -> None:
        each(found, "change", entry["changes"], lambda change: _change(channel, change, found, now))

    each_entry(webhook, found, "whatsapp_business_account", read)


def _change(channel: Channel, change: dict[str, Any], found: Understanding, now: datetime) -> None:
    field, value = change["field"], change["value"]
    if field not in {"messages", "smb_message_echoes"}:
        found.ignore(field)
        return
    account = id_of(value["metadata"]["phone_number_id"])
    if account != channel.keys.phone_number_id:
        found.accounts.add(account)
        return
    profiles = _profiles(value)
    each(found, "message", value.get("messages"), lambda given: _message(channel, given, profiles, found, now))
    each(found, "echo", value.get("message_echoes"), lambda given: _echo(channel, given, profiles, found, now))
    each(found, "status", value.get("statuses"), lambda given: _status(channel, given, found, now))
    if value.get("errors"):
        found.ignore("errors of the account")


def _profiles(value: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The profile of each person, by number and by business-scoped user id."""
    contacts = value.get("contacts")
    found: dict[str, dict[str, Any]] = {}
    for contact in contacts if isinstance(contacts, list) else []:
        profile = contact.get("profile") if isinstance(contact, dict) else None
        if isinstance(profile, dict):
            found |= {str(id_): profile for id_ in (contact.get("wa_id"), contact.get("user_id")) if id_}
    return found


def _message(
    channel: Channel, given: dict[str, Any], profiles: dict[str, dict[str, Any]], found: Understanding, now: datetime
) -> None:
    if given.get("group_id"):
        found.ignore("message of a group")
        return
    type_ = given["type"]
    if type_ in _NO_MESSAGES:
        found.ignore(type_)
        return
    if type_ == "reaction" and not given["reaction"].get("emoji"):
        found.ignore("reaction removed")
        return
    user_id = given.get("from_user_id")
    address = given.get("from") or user_id
    profile = profiles.get(str(address)) or profiles.get(str(user_id)) or {}
    what, extra = _reacted(given["reaction"]) if type_ == "reaction" else said(given)
    found.add(
        message(
            channel,
            Person(address, profile.get("name")),
            what,
            id_=given["id"],
            sent_at=moment(given.get("timestamp")),
            now=now,
            kind="reaction" if type_ == "reaction" else "message",
            extra={"user_id": user_id, "username": profile.get("username")} | extra,
        )
    )


def _reacted(given: dict[str, Any]) -> tuple[Content, dict[str, Any]]:
    return content("text", given["emoji"], reply_to=given["message_id"]), {}


def _echo(
    channel: Channel, given: dict[str, Any], profiles: dict[str, dict[str, Any]], found: Understanding, now: datetime
) -> None:
    """What staff wrote in the WhatsApp Business app."""
    type_ = given["type"]
    if type_ in _NO_MESSAGES or type_ == "reaction":
        found.ignore(f"echo: {type_}")
        return
    address = given.get("to") or given.get("to_user_id")
    what, extra = said(given)
    found.add(
        message(
            channel,
            Person(address, profiles.get(str(address), {}).get("name")),
            what,
            id_=given["id"],
            sent_at=moment(given.get("timestamp")),
            now=now,
            kind="echo",
            extra={"user_id": given.get("to_user_id")} | extra,
        )
    )


def _status(channel: Channel, given: dict[str, Any], found: Understanding, now: datetime) -> None:
    status = _STATUSES.get(given["status"])
    if status is None or given.get("recipient_type") == "group":
        found.ignore(f"status: {given['status']}")
        return
    error = graph_error((given.get("errors") or [None])[0], "failed") if status == "failed" else None
    found.add(
        receipt(
            channel,
            status=status,
            at=moment(given.get("timestamp")) or now,
            id_=given["id"],
            send=send_of(given.get("biz_opaque_callback_data")),
            error=failure(error.code, error.text or None, permanent=is_permanent(error, _CODES)) if error else None,
            contact_stopped=(error is not None and error.is_among(_CODES.stopped)) or None,
        )
    )


def request(channel: Channel, send: SendDispatch) -> Call | Unsendable:
    """`POST /{phone_number_id}/messages`. Statuses bring the reference of the attempt back."""
    written = body_of(send.content)
    if isinstance(written, Unsendable):
        return written
    body: dict[str, Any] = {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "recipient" if _USER_ID.fullmatch(send.address) else "to": send.address,
        "biz_opaque_callback_data": reference_of(send.send_id, send.attempt),
    }
    if (send.content.reply_to or "").startswith("wamid."):
        body["context"] = {"message_id": send.content.reply_to}
    return json_call(f"{channel.base_url}/{channel.keys.phone_number_id}/messages", body | written, bearer(channel))


def outcome(_channel: Channel, answer: Answer) -> Outcome:
    """A taken message has an id; whether it arrives is said by statuses."""
    if answer.status == 200:
        try:
            return sent(id_of(json_of(answer)["messages"][0]["id"]))
        except (LookupError, TypeError, ValueError):
            pass
    return failed(answer, _CODES)


PROVIDER: Final = Provider(
    name="whatsapp_cloud",
    keys=WhatsAppCloudKeys,
    kinds=("whatsapp",),
    base_url=GRAPH,
    verify=verify,
    understand=understand,
    request=request,
    outcome=outcome,
    challenge=challenge,
    account=lambda channel: str(channel.keys.phone_number_id),
)
