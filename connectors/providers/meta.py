"""What WhatsApp, Messenger and Instagram share: signature, challenge, entries of a webhook, errors of the Graph API.

https://developers.facebook.com/docs/graph-api/webhooks/getting-started
https://developers.facebook.com/docs/graph-api/guides/error-handling
"""

import hmac
from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any, Final, NamedTuple
from urllib.parse import parse_qsl

from msgspec import Meta

from connectors.calls import json_of, retry_after
from connectors.events import json_object, milliseconds, seconds
from connectors.provider import (
    Answer,
    Channel,
    Keys,
    Outcome,
    Secret,
    Webhook,
    not_taken,
    refused,
    stopped,
    throttled,
    unclear,
)
from connectors.understanding import Understanding

GRAPH: Final = "https://graph.facebook.com/v26.0"
_FIRST_MILLISECONDS: Final = 1e11  # as seconds that is the year 5138, as milliseconds 1973

AccountId = Annotated[str, Meta(pattern=r"^[0-9]{1,32}\Z")]


class MetaKeys(Keys, frozen=True, kw_only=True):
    """`app_secret` is of the app, `verify_token` of its webhook settings; `access_token` may send for the account."""

    app_secret: Secret
    verify_token: Secret
    access_token: Secret


def verify(channel: Channel, webhook: Webhook, _now: datetime) -> bool:
    """Meta signs the body as it came with the secret of the app."""
    given = webhook.headers.get("x-hub-signature-256", "")
    return hmac.compare_digest(given.encode(), signature(channel, webhook.body).encode())


def signature(channel: Channel, body: bytes) -> str:
    """The header `X-Hub-Signature-256` of a body."""
    return "sha256=" + hmac.new(channel.keys.app_secret.key, body, sha256).hexdigest()


def challenge(channel: Channel, webhook: Webhook) -> bytes | None:
    """What Meta asks when the webhook's address is saved: `hub.challenge`, if `hub.verify_token` is ours."""
    asked = dict(parse_qsl(webhook.query, keep_blank_values=True))
    given = asked.get("hub.verify_token", "").encode()
    if not hmac.compare_digest(given, channel.keys.verify_token.key) or asked.get("hub.mode") != "subscribe":
        return None
    return asked["hub.challenge"].encode() if "hub.challenge" in asked else None


def bearer(channel: Channel) -> dict[str, str]:
    """The header that authorizes a call."""
    return {"authorization": f"Bearer {channel.keys.access_token.text}"}


def moment(value: object) -> datetime | None:
    """A time of Meta's: seconds or milliseconds, as a number or a text. Its products mix them up, so size decides."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        return milliseconds(value) if abs(float(value)) >= _FIRST_MILLISECONDS else seconds(value)
    except (ValueError, OverflowError):
        return None


def each(found: Understanding, what: str, given: Any, read: Callable[[Any], None]) -> None:
    """Reads every event of a list; neither a bad one nor a bad list touches others. No list is an empty one."""
    with found.event(what):
        for one in given or []:
            with found.event(what):
                read(one)


def each_entry(webhook: Webhook, found: Understanding, about: str, read: Callable[[dict[str, Any]], None]) -> None:
    """Reads the entries of a webhook about this kind of `object`; a bad one does not touch the others."""
    with found.event("webhook"):
        body = json_object(webhook.body)
        if body["object"] != about:
            found.ignore("another object")
            return
        each(found, "entry", body["entry"], read)
        if not (found.records or found.ignored or found.errors or found.accounts):
            found.ignore("empty")


class Codes(NamedTuple):
    """What codes and subcodes of errors mean; all others of a 4xx are refusals for good.

    - `throttled`: took nothing and asks to slow down, for so many seconds if the documentation names a number.
    - `stopped`: the person blocked us or opted out.
    - `refused`: refusals whose code alone would mean something else.
    - `later`: took nothing, and may take it later.
    """

    throttled: Mapping[int, float | None]
    stopped: frozenset[int]
    refused: frozenset[int]
    later: frozenset[int]


_CREDENTIALS: Final = frozenset({0, 3, 10, 102, 190, *range(200, 300), 131005})
_UNKNOWN: Final = frozenset({1, 2, 131000})
"""Errors that Meta itself cannot name: `1` was seen for messages that arrived."""


class GraphError(NamedTuple):
    """An error of the Graph API. `code` and `text` are for people."""

    numbers: tuple[int, ...]
    code: str
    text: str

    def is_among(self, codes: frozenset[int] | Mapping[int, object]) -> bool:
        """Whether its code or subcode is one of these."""
        return any(number in codes for number in self.numbers)


def graph_error(given: object, otherwise: object) -> GraphError:
    """Reads an `error` of an answer or of a status; `otherwise` is its code if it has none."""
    error = given if isinstance(given, dict) else {}
    numbers = tuple(n for n in (error.get("code"), error.get("error_subcode")) if type(n) is int)
    more = error.get("error_data")
    texts = [error.get("message") or error.get("title"), more.get("details") if isinstance(more, dict) else None]
    text, *details = dict.fromkeys(text for text in texts if isinstance(text, str) and text) or [""]
    said = f"{text} ({details[0]})" if details else text
    return GraphError(numbers, "/".join(map(str, numbers)) or str(otherwise), said)


def is_permanent(error: GraphError, codes: Codes) -> bool:
    """Whether a message that failed with this error will always fail."""
    return not (error.is_among(codes.throttled) or error.is_among(_CREDENTIALS | _UNKNOWN | codes.later))


def failed(answer: Answer, codes: Codes) -> Outcome:
    """What an answer without a message's id means."""
    error = graph_error(json_of(answer).get("error"), answer.status)
    if answer.status == 429 or error.is_among(codes.throttled):
        wait = next((codes.throttled[n] for n in error.numbers if n in codes.throttled), None)
        return throttled(error.code, error.text, retry_after(answer) or wait)
    if error.is_among(codes.stopped):
        return stopped(error.code, error.text)
    if error.is_among(codes.refused):
        return refused(error.code, error.text)
    if answer.status == 401 or error.is_among(_CREDENTIALS | codes.later):
        return not_taken(error.code, error.text)
    if 400 <= answer.status < 500 and not error.is_among(_UNKNOWN):
        return refused(error.code, error.text)
    no_id = answer.status == 200 and not error.numbers
    return unclear("no_id", "Meta took the message and gave no id") if no_id else unclear(error.code, error.text)
