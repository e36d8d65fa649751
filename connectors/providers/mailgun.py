"""E-mail through Mailgun: https://documentation.mailgun.com/docs/mailgun/user-manual/"""

import hmac
import re
from base64 import b64encode
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, ClassVar, Final

import msgspec

from connectors.calls import form_call, json_of, retry_after
from connectors.events import failure, id_of, json_object, receipt, reference_of, seconds, send_of
from connectors.provider import (
    MAX_BODY,
    MAX_MAIL,
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
from connectors.providers.addresses import Mailbox, domain_of, mailboxes
from connectors.providers.bounces import ours
from connectors.providers.forms import form_of
from connectors.providers.letters import from_header, sender_of, written
from connectors.providers.mail import id_in, read
from connectors.providers.mailgun_routes import FIELDS, letter_in
from connectors.providers.mime import typed
from connectors.understanding import Understanding
from schemas.outputs import SendDispatch

_DOMAIN: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_TIME: Final = re.compile(r"[0-9]{10}")
_OLDEST: Final = timedelta(hours=24)
_AHEAD: Final = timedelta(hours=1)
_SIGNED: Final = frozenset({"timestamp", "token", "signature"})
_LONGEST_SIGNED: Final = 1_000

_REFERENCE: Final = "sluice"
_FROM: Final = "sluice-from"
_STOPPED: Final = frozenset({"suppress-unsubscribe", "suppress-complaint"})
_STATUSES: Final = {"delivered": "delivered", "opened": "read", "complained": "delivered", "unsubscribed": "delivered"}


class MailgunKeys(Keys, frozen=True, kw_only=True):
    """`signing_key` is the HTTP webhook signing key of the account; `from` may have a name."""

    default_kind: ClassVar[str] = "email"
    domain: str
    signing_key: Secret
    api_key: Secret
    from_: str = msgspec.field(name="from")

    def __post_init__(self) -> None:
        sender_of(self.from_)
        if not _DOMAIN.fullmatch(self.domain):
            raise ValueError("`domain` must be a domain, such as mg.acme.example")

    @property
    def own(self) -> Mailbox:
        """Our address, with its name."""
        return sender_of(self.from_)


def verify(channel: Channel, webhook: Webhook, now: datetime) -> bool:
    """Mailgun signs a time and a token, not the content. The same token comes again with every repeat, so only age
    bounds what a stolen signature is good for: Mailgun repeats for 8 hours, we take a day.
    """
    timestamp, token, given = _signature(webhook)
    if not _TIME.fullmatch(timestamp) or not token:
        return False
    wanted = hmac.new(channel.keys.signing_key.key, f"{timestamp}{token}".encode(), sha256).hexdigest()
    at = seconds(timestamp)
    fresh = at is not None and now - _OLDEST <= at <= now + _AHEAD
    return hmac.compare_digest(wanted.encode(), given.encode("utf-8", "replace")) and fresh


def _signature(webhook: Webhook) -> tuple[str, str, str]:
    if _is_json(webhook):
        if len(webhook.body) > MAX_BODY:  # Mailgun's events are small; nobody has signed this one yet
            return "", "", ""
        try:
            signed = json_object(webhook.body)["signature"]
            given = tuple(id_of(signed[name]) for name in ("timestamp", "token", "signature"))
        except (LookupError, TypeError, ValueError):
            return "", "", ""
        return given[0], given[1], given[2]
    form = form_of(webhook.headers.get("content-type"), webhook.body, _SIGNED, _LONGEST_SIGNED)
    # Mailgun adds headers of the mail as fields; its own come last.
    return form.last("timestamp") or "", form.last("token") or "", form.last("signature") or ""


def _is_json(webhook: Webhook) -> bool:
    return typed(webhook.headers.get("content-type"))[0] == "application/json"


def understand(channel: Channel, webhook: Webhook, found: Understanding, now: datetime) -> None:
    """Adds the mail of a route, or the receipt of an event."""
    if _is_json(webhook):
        with found.event("event"):
            _event(channel, json_object(webhook.body)["event-data"], found, now)
        return
    with found.event("mail"):
        form = form_of(webhook.headers.get("content-type"), webhook.body, FIELDS)
        if "event" in form.values:
            found.ignore("event of the old notation")
        else:
            read(channel, channel.keys.own.address, letter_in(form), found, now)


def _event(channel: Channel, event: dict[str, Any], found: Understanding, now: datetime) -> None:
    type_ = id_of(event["event"])
    headers = event.get("message", {}).get("headers", {})
    variables = event.get("user-variables")
    variables = variables if isinstance(variables, dict) else {}
    account = _account_of(channel, event, headers, variables)
    if account != _account(channel):
        if account is None:
            found.ignore("event of another domain")
        else:
            found.accounts.add(account)
        return
    if event.get("flags", {}).get("is-routed") is True:
        found.ignore("event of a route")
        return
    id_ = id_in(headers.get("message-id"))
    named = ours(id_ or "", domain_of(channel.keys.own.address))
    send = send_of(variables.get(_REFERENCE)) or (named[:2] if named else None)
    if send is None:
        found.ignore("event of a mail of others")
        return
    status, error, has_stopped = _meaning(type_, event)
    if status is None:
        found.ignore(f"{type_} for now" if type_ == "failed" else type_)
        return
    found.add(
        receipt(
            channel,
            status=status,
            at=seconds(event.get("timestamp")) or now,
            id_=id_,
            send=send,
            error=error,
            contact_stopped=has_stopped or None,
        )
    )


def _meaning(type_: str, event: dict[str, Any]) -> tuple[Any, Any, bool]:
    """The status of a receipt, its error, and whether the person stopped us; no status if there is none.

    After a failure that is not permanent Mailgun tries again itself, so it is no failure of the send.
    """
    if type_ == "failed" and event.get("severity") != "permanent":
        return None, None, False
    if type_ == "failed":
        told = event.get("delivery-status") or {}
        words = told.get("message") or told.get("description") or event.get("reason")
        code = told.get("enhanced-code") or told.get("code")
        return "failed", failure(code, words, permanent=True), event.get("reason") in _STOPPED
    if type_ == "rejected":
        words = (event.get("reject") or {}).get("reason") or event.get("reason")
        return "failed", failure("rejected", words, permanent=True), False
    if type_ == "opened" and (event.get("client-info") or {}).get("bot"):
        return None, None, False
    return _STATUSES.get(type_), None, type_ in ("complained", "unsubscribed")


def _account_of(
    channel: Channel, event: dict[str, Any], headers: dict[str, Any], variables: dict[str, Any]
) -> str | None:
    """The address that sent the message of an event; None if nobody says it and the domain is another one."""
    if isinstance(told := variables.get(_FROM), str):
        return told.lower()
    if isinstance(told := headers.get("from"), str) and (writers := mailboxes(told)):
        return writers[0].address.lower()
    domain = (event.get("domain") or {}).get("name", channel.keys.domain)
    return _account(channel) if str(domain).lower() == channel.keys.domain.lower() else None


def _account(channel: Channel) -> str:
    address: str = channel.keys.own.address
    return address.lower()


def request(channel: Channel, send: SendDispatch) -> Call | Unsendable:
    """A message with text, HTML and links, or of a template with variables."""
    keys, template = channel.keys, send.content.template
    own = keys.own
    letter = written(channel, own, send)
    if isinstance(letter, Unsendable):
        return letter
    fields: dict[str, str | None] = {
        "from": from_header(own),
        "to": letter.recipient,
        "subject": letter.subject if template is None or send.content.subject else None,
        "text": letter.text,
        "html": letter.html,
        "h:Message-Id": f"<{letter.message_id}>",
        "h:In-Reply-To": f"<{letter.reply_to}>" if letter.reply_to else None,
        "h:References": f"<{letter.reply_to}>" if letter.reply_to else None,
        f"v:{_REFERENCE}": reference_of(send.send_id, send.attempt),
        f"v:{_FROM}": own.address,
    }
    if template is not None:
        if isinstance(template.parameters, list) and template.parameters:
            return Unsendable("unsupported_content", "the variables of a template of Mailgun have names")
        fields["template"] = template.name
        fields["t:variables"] = msgspec.json.encode(template.parameters or {}).decode()
    given = {name: value for name, value in fields.items() if value is not None}
    login = b64encode(f"api:{keys.api_key.text}".encode()).decode()
    return form_call(f"{channel.base_url}/v3/{keys.domain}/messages", given, {"authorization": f"Basic {login}"})


def outcome(_channel: Channel, answer: Answer) -> Outcome:
    """Mailgun answers a status of HTTP with a `message`, and with an `id` if it took the mail."""
    said = json_of(answer)
    code, words = answer.status, said.get("message", "")
    match answer.status:
        case 200:
            given = said.get("id")
            id_ = id_in(given) if isinstance(given, str) else None
            what = sent(id_) if id_ else unclear("no_id", "Mailgun took the mail and gave no id")
        case 429:
            what = throttled(code, words, retry_after(answer))
        case 401 | 402 | 403 | 404:  # the key, the domain or the bill, not the mail
            what = not_taken(code, words)
        case status if 400 <= status < 500:
            what = refused(code, words)
        case _:
            what = unclear(code, words)
    return what


PROVIDER: Final = Provider(
    name="mailgun",
    keys=MailgunKeys,
    kinds=("email",),
    base_url="https://api.mailgun.net",
    verify=verify,
    understand=understand,
    request=request,
    outcome=outcome,
    account=_account,
    max_body=MAX_MAIL,
)
