"""E-mail through one's own mail server: it hands us mail by LMTP (RFC 2033), and takes ours by SMTP (RFC 5321)."""

import re
from datetime import datetime
from typing import Annotated, ClassVar, Final, Literal

import msgspec
from msgspec import Meta

from connectors.provider import (
    MAX_MAIL,
    Answer,
    Channel,
    Keys,
    Mail,
    Outcome,
    Provider,
    Secret,
    Unsendable,
    Webhook,
    not_taken,
    refused,
    sent,
    unclear,
)
from connectors.providers.addresses import Mailbox
from connectors.providers.letters import mail_of, sender_of, written
from connectors.providers.mail import letter_of, read
from connectors.understanding import Understanding
from schemas.outputs import SendDispatch

LMTP: Final = "LMTP"
_HOST_AND_PORT: Final = re.compile(r"(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9.-]{1,253}):([0-9]{1,5})")
_ENHANCED: Final = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\b")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_OUR_LOGIN: Final = frozenset({530, 534, 535, 538})
"""Replies about our user name and password: another attempt may succeed once they are right."""


class SmtpKeys(Keys, frozen=True, kw_only=True):
    """`listen` is where we take mail by LMTP, `smtp_host` and `smtp_port` is where we give mail to."""

    default_kind: ClassVar[str] = "email"
    listen: str
    smtp_host: Annotated[str, Meta(min_length=1, max_length=253)]
    smtp_port: Annotated[int, Meta(ge=1, le=65_535)]
    smtp_tls: Literal["required", "none"] = "required"
    username: Annotated[str, Meta(min_length=1, max_length=512)] | None = None
    password: Secret | None = None
    from_: str = msgspec.field(name="from")

    def __post_init__(self) -> None:
        host_and_port(self.listen)
        sender_of(self.from_)
        if self.smtp_tls == "none" and self.smtp_host not in _LOOPBACK:
            raise ValueError("`smtp_tls` may be `none` only for a host of this machine, such as 127.0.0.1")
        if (self.username is None) != (self.password is None):
            raise ValueError("`username` and `password` need each other")

    @property
    def own(self) -> Mailbox:
        """Our address, with its name."""
        return sender_of(self.from_)


def host_and_port(listen: str) -> tuple[str, int]:
    """The two parts of `host:port`.

    Raises:
        ValueError: it is no such thing.
    """
    found = _HOST_AND_PORT.fullmatch(listen)
    if found is None or not 1 <= int(found[2]) <= 65_535:
        raise ValueError("`listen` must be host:port")
    return found[1].strip("[]"), int(found[2])


def verify(_channel: Channel, webhook: Webhook, _now: datetime) -> bool:
    """Mail comes by LMTP from one's own server. Over HTTP nobody may bring any."""
    return webhook.method == LMTP


def understand(channel: Channel, webhook: Webhook, found: Understanding, now: datetime) -> None:
    """Adds what a raw mail says. Its sender by SMTP is in `x-envelope-from`."""
    with found.event("mail"):
        envelope_from = webhook.headers.get("x-envelope-from")
        bare = None if envelope_from is None else envelope_from.strip().strip("<>")
        read(channel, channel.keys.own.address, letter_of(webhook.body, bare), found, now)


def request(channel: Channel, send: SendDispatch) -> Mail | Unsendable:
    """The mail with text, HTML and links."""
    if send.content.template is not None:
        return Unsendable("unsupported_content", "SMTP has no templates")
    own = channel.keys.own
    letter = written(channel, own, send)
    return letter if isinstance(letter, Unsendable) else mail_of(own, letter)


def outcome(_channel: Channel, answer: Answer) -> Outcome:
    """A reply code of SMTP. The header `message-id` of the answer is that of the mail."""
    words = answer.body.decode("utf-8", "replace").strip()
    enhanced = _ENHANCED.match(words)
    code = enhanced[0] if enhanced else str(answer.status)
    match answer.status:
        case status if 200 <= status < 300:
            id_ = answer.headers.get("message-id", "").strip().strip("<>")
            what = sent(id_) if id_ else unclear("no_id", "the server took a mail without Message-ID")
        case status if 400 <= status < 500 or status in _OUR_LOGIN:
            what = not_taken(code, words)
        case status if 500 <= status < 600:
            what = refused(code, words)
        case _:
            what = unclear(code, words)
    return what


PROVIDER: Final = Provider(
    name="smtp",
    keys=SmtpKeys,
    kinds=("email",),
    base_url="",
    verify=verify,
    understand=understand,
    request=request,
    outcome=outcome,
    max_body=MAX_MAIL,
)
