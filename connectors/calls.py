"""Makes calls of providers and reads their answers: what several of them do alike."""

import json
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from connectors.provider import Answer, Call, Unsendable
from schemas.inbound import Attachment, Content

_BY_ID: Final = "provider:"
_LONGEST_WAIT_S: Final = 86_400.0


def json_call(url: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Call:
    """A POST of JSON."""
    return Call("POST", url, {"content-type": "application/json"} | dict(headers or {}), json_bytes(body))


def json_bytes(value: object) -> bytes:
    """The JSON of a value. A parameter of a template may hold half a surrogate pair, which is escaped."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(value)).encode()


def form_call(url: str, fields: Mapping[str, str | Sequence[str]], headers: Mapping[str, str] | None = None) -> Call:
    """A POST of a form. A list is several values of one field."""
    kind = {"content-type": "application/x-www-form-urlencoded"}
    return Call("POST", url, kind | dict(headers or {}), urlencode(fields, doseq=True).encode())


def json_of(answer: Answer) -> dict[str, Any]:
    """The JSON object of an answer; empty if it has none."""
    try:
        value = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def retry_after(answer: Answer) -> float | None:
    """Seconds that the header `Retry-After` asks for, as a number, or as a date after that of the answer; None if there
    is none.
    """
    given = answer.headers.get("retry-after", "").strip()
    if given.isdecimal() and given.isascii() and len(given) < 10:
        return min(float(given), _LONGEST_WAIT_S)
    try:
        until, now = parsedate_to_datetime(given), parsedate_to_datetime(answer.headers.get("date", ""))
        return min(max(0.0, (until - now).total_seconds()), _LONGEST_WAIT_S)
    except (ValueError, TypeError, OverflowError):
        return None


def one_attachment(content: Content, provider: str) -> Attachment | Unsendable | None:
    """The only attachment of a message; a provider that carries one would make several messages of several."""
    if not content.attachments:
        return None
    if len(content.attachments) > 1:
        return Unsendable("unsupported_content", f"{provider} carries one attachment in a message")
    return content.attachments[0]


def text_or_file(content: Content, provider: str) -> Attachment | Unsendable | None:
    """The file of a message that is no template; None if it is text alone."""
    if content.template is not None:
        return Unsendable("unsupported_content", f"{provider} has no templates")
    if not content.text and not content.attachments:
        return Unsendable("unsupported_content", "there is neither text nor file")
    return one_attachment(content, provider)


def attachment_id(file: Attachment) -> str:
    """The URL of a file, or the provider's own id of it."""
    return file.url.removeprefix(_BY_ID)


def is_id(file: Attachment) -> bool:
    """Whether a file is named by an id of the provider."""
    return file.url.startswith(_BY_ID)
