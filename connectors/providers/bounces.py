"""Mail that no person wrote: reports about our own mail (RFC 3464, RFC 5965), and automatic answers (RFC 3834)."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from connectors.events import failure, receipt
from connectors.provider import Channel
from connectors.providers.mime import Message, MimePart, headers_of, typed, words
from connectors.understanding import Understanding
from schemas.receipts import ReceiptError

_LONGEST_REPORT: Final = 262_144
_MOST_BLOCKS: Final = 20
_OURS: Final = re.compile(
    r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\.([1-9][0-9]{0,8})@([A-Za-z0-9._-]{1,253})"
)
_RETURNED: Final = frozenset({"message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers"})
_STATUS: Final = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_SMTP_CODE: Final = re.compile(r"\b([45])\d\d\b")
_AUTOMATIC: Final = frozenset({"bulk", "junk", "list", "auto_reply"})
_SUPPRESSED: Final = frozenset({"oof", "autoreply", "all"})
_REPORTS: Final = frozenset({"delivery-status", "disposition-notification", "feedback-report"})
_ACTIONS: Final = frozenset({"delayed", "relayed", "expanded"})


class Ours(NamedTuple):
    """An attempt of ours, by the Message-Id that we gave it (without brackets)."""

    send_id: UUID
    attempt: int
    message_id: str


def our_message_id(send_id: UUID, attempt: int, domain: str) -> str:
    """The Message-Id of an attempt, without brackets."""
    return f"{send_id}.{attempt}@{domain}"


def ours(text: str, domain: str) -> Ours | None:
    """The first attempt of ours that a text names."""
    for named in _OURS.finditer(text):
        if named[3].lower() == domain:
            return Ours(UUID(named[1]), int(named[2]), f"{named[1]}.{named[2]}@{domain}")
    return None


def automatic(headers: Mapping[str, str], envelope_from: str | None) -> str | None:
    """What sort of machine wrote a mail; None if a person may have written it. `envelope_from` is empty for the null
    sender of SMTP, and None where nobody knows it.
    """
    type_, parameters = typed(headers.get("content-type"))
    if type_ == "multipart/report":
        sort = parameters.get("report-type", "").strip().lower()
        return sort if sort in _REPORTS else "report"
    submitted = headers.get("auto-submitted", "no").partition(";")[0].strip().lower()
    suppressed = headers.get("x-auto-response-suppress", "").lower()
    if (
        submitted not in ("", "no")
        or headers.get("precedence", "").strip().lower() in _AUTOMATIC
        or any(word.strip() in _SUPPRESSED for word in suppressed.split(","))
        or "x-autoreply" in headers
        or "x-autorespond" in headers
    ):
        return "auto-reply"
    return "bounce" if envelope_from == "" else None


def read_report(channel: Channel, sort: str, message: Message, domain: str, found: Understanding, at: datetime) -> None:
    """Adds the receipt of a report about a send of ours; counts any other one."""
    attempt = _reported(message, domain)
    said = _fields(message, sort)
    action = said.get("action", "").strip().lower()
    if attempt is None:
        found.ignore("bounce" if sort == "delivery-status" else sort)
    elif sort == "delivery-status" and action == "failed":
        found.add(
            receipt(
                channel,
                status="failed",
                at=at,
                id_=attempt.message_id,
                send=(attempt.send_id, attempt.attempt),
                error=_failure(said),
            )
        )
    elif (sort == "delivery-status" and action == "delivered") or (sort == "feedback-report" and _is_complaint(said)):
        found.add(
            receipt(
                channel,
                status="delivered",
                at=at,
                id_=attempt.message_id,
                send=(attempt.send_id, attempt.attempt),
                contact_stopped=True if sort == "feedback-report" else None,
            )
        )
    else:
        found.ignore(f"report: {action if action in _ACTIONS else sort}")


def _failure(said: Mapping[str, str]) -> ReceiptError:
    words_of_mta = words(said.get("diagnostic-code", "").partition(";")[2]) or None
    status = _STATUS.search(said.get("status", "")) or _STATUS.search(words_of_mta or "")
    code = _SMTP_CODE.search(words_of_mta or "")
    permanent = status[1].startswith("5") if status else bool(code and code[1] == "5")
    return failure(status[1] if status else code[0] if code else None, words_of_mta, permanent=permanent)


def _is_complaint(said: Mapping[str, str]) -> bool:
    return said.get("feedback-type", "").strip().lower() in ("abuse", "fraud", "opt-out")


def _reported(message: Message, domain: str) -> Ours | None:
    """The send that a report is about: by the headers that came back, or by those of the report."""
    for part in message.parts:
        if part.type in _RETURNED:
            headers, _ = headers_of(part.data(_LONGEST_REPORT), 0, _LONGEST_REPORT, _LONGEST_REPORT)
            if found := ours(headers.get("message-id", ""), domain):
                return found
    for name in ("in-reply-to", "references"):
        if found := ours(message.headers.get(name, ""), domain):
            return found
    for part in message.parts:
        if part.type.startswith(("text/", "message/")) and (found := ours(part.text(_LONGEST_REPORT), domain)):
            return found
    return None


def _fields(message: Message, sort: str) -> dict[str, str]:
    """The fields of the report's second part: those about the message, and those of its first recipient."""
    machine = next(
        (part for part in message.parts if part.type in (f"message/{sort}", "message/global-delivery-status")), None
    )
    return _blocks(machine) if machine is not None else {}


def _blocks(part: MimePart) -> dict[str, str]:
    data, found, at = part.data(_LONGEST_REPORT).strip(), dict[str, str](), 0
    for _ in range(_MOST_BLOCKS):
        fields, at = headers_of(data, at, len(data), _LONGEST_REPORT)
        found = fields | found
        if at >= len(data) or "action" in found:
            break
    return found
