"""What a provider's module says of itself: plain functions from data to data.

A module of `connectors/providers` holds all that Sluice knows of one provider, as one value of `Provider`. The receiver
and the sender do everything that waits.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Final, Literal, NamedTuple
from urllib.parse import quote

from msgspec import Struct

from connectors.understanding import Understanding
from schemas.outputs import SendDispatch

MAX_BODY: Final = 4 * 1024 * 1024
MAX_MAIL: Final = 40 * 1024 * 1024


class Secret:
    """A secret of a channel: its text is in no log, error or comparison of values."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text: Final = text

    @property
    def key(self) -> bytes:
        """The secret as bytes, for a signature."""
        return self.text.encode()

    def __repr__(self) -> str:
        return "Secret(…)"


class Url(str):
    """An address of the channels file that secrets and messages may travel to: by TLS, or on this machine."""

    __slots__ = ()


class Keys(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of a channel that only its provider has. `default_kind` is its kind, unless `kind` says another one."""

    default_kind: ClassVar[str]

    @property
    def kind(self) -> str:
        """The kind of the channel."""
        return self.default_kind


@dataclass(frozen=True, slots=True)
class Channel:
    """One entry of the channels file. `base_url` is without a slash at the end."""

    workspace_id: str
    channel_id: str
    kind: str
    keys: Any
    base_url: str
    provider: "Provider" = field(repr=False)
    rate_per_second: float | None = None
    timeout_s: float = 15.0
    name: str | None = None
    default_region: str | None = None

    @property
    def place(self) -> str:
        """`workspace_id/channel_id`, as the command line names a channel."""
        return f"{self.workspace_id}/{self.channel_id}"

    @property
    def webhook(self) -> str:
        """The path of its webhook at the receiver."""
        return f"/webhooks/{quote(self.workspace_id, safe='')}/{quote(self.channel_id, safe='')}"


class Webhook(NamedTuple):
    """A request to a webhook, as it came. Names of headers are in lower case; `query` is raw, without `?`.

    A mail is one as well: `body` is the raw message, `headers` has `x-envelope-from`.
    """

    method: str
    query: str
    headers: Mapping[str, str]
    body: bytes


class Call(NamedTuple):
    """A request to a provider. `headers` and `url` hold secrets: neither is logged."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


class Mail(NamedTuple):
    """A message for an SMTP server, from and to one address each."""

    sender: str
    recipient: str
    message: bytes


class Unsendable(NamedTuple):
    """Why no call can be made of a send: the receipt is `failed`, permanent."""

    code: str
    message: str


class Answer(NamedTuple):
    """What a provider answered: an HTTP status, or an SMTP reply code with its text as body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Outcome(NamedTuple):
    """What became of a call. `throttled`: the provider took nothing, and wants to be left alone for `retry_after_s`."""

    status: Literal["sent", "failed", "throttled", "ambiguous"]
    provider_message_id: str | None = None
    code: str | None = None
    message: str | None = None
    permanent: bool = False
    retry_after_s: float | None = None
    contact_stopped: bool = False


def sent(provider_message_id: str) -> Outcome:
    """The provider took the message, and this is its id."""
    return Outcome("sent", provider_message_id)


def refused(code: object, message: object) -> Outcome:
    """The provider refuses the message for good."""
    return Outcome("failed", code=str(code), message=str(message), permanent=True)


def not_taken(code: object, message: object) -> Outcome:
    """The provider did not take the message, and may take it later."""
    return Outcome("failed", code=str(code), message=str(message))


def throttled(code: object, message: object, retry_after_s: float | None) -> Outcome:
    """The provider did not take the message, and asks to slow down."""
    return Outcome("throttled", code=str(code), message=str(message), retry_after_s=retry_after_s)


def stopped(code: object, message: object) -> Outcome:
    """The person blocked us or opted out."""
    return Outcome("failed", code=str(code), message=str(message), permanent=True, contact_stopped=True)


def unclear(code: object, message: object) -> Outcome:
    """Nobody can tell whether the provider took the message."""
    return Outcome("ambiguous", code=str(code), message=str(message))


@dataclass(frozen=True, slots=True)
class Provider:
    """All that Sluice knows of a provider.

    - `keys`: the keys of its entries in the channels file. `kinds`: the channel kinds that they may have.
    - `base_url`: where its API is, unless a channel says otherwise.
    - `verify(channel, webhook, now)`: whether the webhook is the provider's. Compares in constant time.
    - `understand(channel, webhook, found, now)`: adds to `found` what a verified webhook says.
    - `request(channel, send)`: the call that makes an attempt.
    - `outcome(channel, answer)`: what an answer means.
    - `sign(channel, call, now)`: the call with its signature, where this holds the time. Each repeat is signed anew.
    - `challenge(channel, webhook)`: the body that answers a GET by which the provider verifies the webhook's address;
      None if its token is wrong.
    - `account`: the provider's id for a channel, where one webhook may be about several accounts of one app.
    - `repeats`: a call may be repeated, for its key makes the provider take it once.
    - `acknowledges`: content type and body of the answer to a webhook.
    """

    name: str
    keys: type[Keys]
    kinds: tuple[str, ...]
    base_url: str
    verify: Callable[[Channel, Webhook, datetime], bool]
    understand: Callable[[Channel, Webhook, Understanding, datetime], None]
    request: Callable[[Channel, SendDispatch], Call | Mail | Unsendable]
    outcome: Callable[[Channel, Answer], Outcome]
    challenge: Callable[[Channel, Webhook], bytes | None] | None = None
    sign: Callable[[Channel, Call, datetime], Call] | None = None
    account: Callable[[Channel], str] | None = None
    repeats: bool = False
    acknowledges: tuple[str, bytes] = ("text/plain", b"")
    max_body: int = MAX_BODY
