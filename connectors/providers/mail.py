"""E-mail as a person sent it: makes messages and receipts of it, from a raw message or from what a provider read of it.

Ids are those of Message-Id, without brackets. Attachments are named and measured, never carried.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import Final, NamedTuple

from connectors.events import Person, attachment, content, message
from connectors.provider import Channel
from connectors.providers.addresses import Mailbox, domain_of, is_same, mailboxes
from connectors.providers.bounces import automatic, ours, read_report
from connectors.providers.mime import Message, MimePart, taken_apart, typed, words
from connectors.understanding import Understanding
from schemas import limits
from schemas.inbound import Attachment

_LONGEST_TEXT: Final = 4 * limits.MAX_VALUE_BYTES  # of an encoded part: more cannot fit into a record
_MOST_COPIES: Final = 20
_MESSAGE_ID: Final = re.compile(r"<\s*([^\s<>]{1,512})\s*>")
_KINDS: Final = frozenset({"image", "video", "audio"})


class ParsedMail(NamedTuple):
    """A mail. `headers` are as they came, with names in lower case; `envelope_from` is empty for the null sender of
    SMTP, and None where nobody knows it. `digest` names a mail that has no Message-Id.
    """

    headers: Mapping[str, str]
    envelope_from: str | None
    text: str | None
    html: str | None
    attachments: list[Attachment]
    digest: str
    message: Message
    cut: bool = False


def letter_of(raw: bytes, envelope_from: str | None) -> ParsedMail:
    """A raw message, read as far as it can be."""
    whole = taken_apart(raw)
    texts: dict[str, list[str]] = {"text/plain": [], "text/html": []}
    files: list[Attachment] = []
    cut = whole.cut
    for number, part in enumerate(whole.parts, start=1):
        if _is_body(part):
            texts[part.type].append(part.text(_LONGEST_TEXT))
            cut = cut or part.end - part.start > _LONGEST_TEXT
        else:
            files.append(_file(part, number))
    return ParsedMail(
        headers=whole.headers,
        envelope_from=envelope_from,
        text=joined(texts["text/plain"]),
        html=joined(texts["text/html"]),
        attachments=files,
        digest=sha256(raw).hexdigest(),
        message=whole,
        cut=cut,
    )


def joined(texts: Iterable[str]) -> str | None:
    """Parts of a text as one, without empty lines at its end; None for nothing."""
    whole = "\n".join(text.replace("\r\n", "\n").rstrip() for text in texts)
    return whole if whole.strip() else None


def _is_body(part: MimePart) -> bool:
    disposition, _ = typed(part.headers.get("content-disposition", "inline"))
    return part.type in ("text/plain", "text/html") and disposition != "attachment" and part.filename is None


def _file(part: MimePart, number: int) -> Attachment:
    name = part.headers.get("content-id", "").strip().strip("<>")
    return attachment(
        kind_of(part.type),
        f"cid:{words(name)}" if name else f"part:{number}",
        mime_type=words(part.type)[:255] or None,
        size=part.size(),
        name=part.filename,
    )


def kind_of(type_: str) -> str:
    """Our kind of a file by its media type."""
    major = type_.partition("/")[0]
    return major if major in _KINDS else "file"


def read(channel: Channel, own: str, letter: ParsedMail, found: Understanding, now: datetime) -> None:
    """Adds the message of a person to `own`, our address, or the receipt of a report; counts what a machine wrote.

    Raises:
        ValueError: nobody can tell who wrote it.
    """
    headers, domain = letter.headers, domain_of(own)
    sent_at = date_of(headers.get("date"))
    sort = automatic(headers, letter.envelope_from)
    if sort in ("auto-reply", "bounce"):
        found.ignore(sort)
        return
    if sort is not None:
        at = sent_at if sent_at is not None and now - timedelta(days=30) < sent_at < now else now
        read_report(channel, sort, letter.message, domain, found, at)
        return
    writer = _writer(letter)
    id_ = id_in(headers.get("message-id"))
    if is_same(writer.address, own) or ours(id_ or "", domain) is not None:
        found.ignore("mail of our own")
        return
    said = content(
        letter.attachments[0].kind if letter.attachments and not (letter.text or letter.html) else "text",
        letter.text,
        subject=words(headers.get("subject", "")) or None,
        html=letter.html,
        reply_to=_last_id(headers.get("in-reply-to")) or _last_id(headers.get("references")),
        attachments=letter.attachments,
    )
    found.add(
        message(
            channel,
            Person(writer.address, writer.name or None),
            said,
            id_=id_ or f"sha256:{letter.digest}",
            sent_at=sent_at,
            now=now,
            extra=_extra(letter, writer),
        )
    )


def _writer(letter: ParsedMail) -> Mailbox:
    for name in ("from", "sender"):
        if found := mailboxes(letter.headers.get(name, "")):
            return found[0]
    if found := mailboxes(letter.envelope_from or ""):
        return found[0]
    raise ValueError("Expected an address in the header `From`")


def _extra(letter: ParsedMail, writer: Mailbox) -> dict[str, object]:
    copies = {
        name: [mailbox.address for mailbox in mailboxes(letter.headers.get(name, ""))[:_MOST_COPIES]] or None
        for name in ("to", "cc")
    }
    answers = mailboxes(letter.headers.get("reply-to", ""))
    other = answers[0].address if answers and not is_same(answers[0].address, writer.address) else None
    return copies | {"reply_to": other, "truncated": True if letter.cut else None}


def id_in(value: str | None) -> str | None:
    """The id of a header such as Message-Id, without brackets; None if there is none that a record can carry."""
    found = _MESSAGE_ID.search(value or "")
    bare = found[1] if found else (value or "").strip()
    return bare if 0 < len(bare) <= limits.PROVIDER_MESSAGE_ID and bare.isprintable() and " " not in bare else None


def _last_id(value: str | None) -> str | None:
    found = _MESSAGE_ID.findall(value or "")
    return id_in(f"<{found[-1]}>") if found else None


def date_of(value: str | None) -> datetime | None:
    """The time of a header `Date`; None if it is no time."""
    try:
        read_ = parsedate_to_datetime((value or "")[:200])
        return read_.replace(tzinfo=UTC) if read_.tzinfo is None else read_.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
