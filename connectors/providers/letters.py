"""Writes e-mail: what a send says as a mail, for every provider that carries mail.

Attachments are never fetched: their addresses are links at the end of the text and of the HTML.
"""

import binascii
import html
import re
from email.errors import HeaderParseError
from email.header import Header
from email.utils import formataddr
from typing import Final, NamedTuple

from connectors.provider import Channel, Mail, Unsendable
from connectors.providers.addresses import Mailbox, domain_of, sendable_address
from connectors.providers.bounces import our_message_id
from schemas.inbound import Content
from schemas.outputs import SendDispatch

_LONGEST_SUBJECT: Final = 250
_LONGEST_MADE_SUBJECT: Final = 60
_FROM: Final = re.compile(
    r'(?:(?:"(?P<quoted>[^"\\\x00-\x1f]{0,200})"|(?P<name>[^"<>@,;:()\\\x00-\x1f]{0,200}))[ ]*<(?P<inner>[^<>]+)>'
    r"|(?P<alone>[^<>]+))"
)
_ID: Final = re.compile(r"[\x21-\x3b\x3d\x3f-\x7e]{1,250}@[\x21-\x3b\x3d\x3f-\x7e]{1,250}")
_LINK: Final = re.compile(r"https?://[\x21-\x7e]{1,8000}", re.IGNORECASE)


class Written(NamedTuple):
    """A mail to write. `message_id` and `reply_to` are without brackets."""

    recipient: str
    subject: str
    text: str | None
    html: str | None
    message_id: str
    reply_to: str | None


def sender_of(given: str) -> Mailbox:
    """The address of a channel's key `from`, which may have a name: `Acme <help@acme.example>`.

    Raises:
        ValueError: it is no address.
    """
    found = _FROM.fullmatch(given.strip())
    address = sendable_address(found["inner"] or found["alone"]) if found else None
    if found is None or address is None:
        raise ValueError("`from` must be one e-mail address, with or without a name")
    return Mailbox((found["quoted"] or found["name"] or "").strip(), address)


def written(channel: Channel, own: Mailbox, send: SendDispatch) -> Written | Unsendable:
    """What a send says, as a mail. Beside a template there may be nothing else."""
    said = send.content
    recipient = sendable_address(send.address)
    if recipient is None:
        return Unsendable("bad_address", "the address is no e-mail address that SMTP carries without extensions")
    links = [(file.name or file.url, file.url) for file in said.attachments or ()]
    if not all(_LINK.fullmatch(url) for _, url in links):
        return Unsendable("unsupported_content", "a mail carries files as links: they need addresses of the web")
    text, page = _with_links(said, links)
    if not text and not page and said.template is None:
        return Unsendable("unsupported_content", "there is neither text nor file")
    answered = (said.reply_to or "").strip("<> ")
    return Written(
        recipient=recipient,
        subject=_subject(channel.name or own.name, said),
        text=text or None,
        html=page or None,
        message_id=our_message_id(send.send_id, send.attempt, domain_of(own.address)),
        reply_to=answered if _ID.fullmatch(answered) else None,
    )


def _with_links(said: Content, links: list[tuple[str, str]]) -> tuple[str | None, str | None]:
    text, page = said.text, said.html
    if not links:
        return text, page
    if text or not page:
        lines = [url if name == url else f"{_on_one_line(name)}: {url}" for name, url in links]
        text = "\n\n".join(part for part in (text, "\n".join(lines)) if part)
    if page:
        items = "".join(
            f'<p><a href="{html.escape(url)}">{html.escape(_on_one_line(name))}</a></p>' for name, url in links
        )
        end = page.lower().rfind("</body")
        # The lower case of a few letters is longer: then the place would be wrong.
        at = end if end >= 0 and page[end : end + 6].lower() == "</body" else len(page)
        page = page[:at] + items + page[at:]
    return text, page


def _subject(ours: str, said: Content) -> str:
    """The subject, or else the first words of the text or our name: mail without a subject looks like spam."""
    given = _on_one_line(said.subject or "")[:_LONGEST_SUBJECT]
    if given:
        return given
    line = next((_on_one_line(line) for line in (said.text or "").splitlines() if line.strip()), "")
    if len(line) > _LONGEST_MADE_SUBJECT:
        line = line[:_LONGEST_MADE_SUBJECT].rpartition(" ")[0] or line[:_LONGEST_MADE_SUBJECT]
        line += "…"
    return line or _on_one_line(ours) or "Message"


def _on_one_line(text: str) -> str:
    """Nothing that ends a line or a header may stay."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def from_header(own: Mailbox) -> str:
    """Our address with its name, as the header `From` has it."""
    return formataddr((own.name, own.address))


def mail_of(own: Mailbox, letter: Written) -> Mail:
    """The message. It has no Date: who sends it knows the time."""
    headers = [
        f"From: {from_header(own)}",
        f"To: {letter.recipient}",
        f"Subject: {_encoded(letter.subject)}",
        f"Message-ID: <{letter.message_id}>",
    ]
    if letter.reply_to is not None:
        headers += [f"In-Reply-To: <{letter.reply_to}>", f"References: <{letter.reply_to}>"]
    headers.append("MIME-Version: 1.0")
    parts = [
        _part(type_, text)
        for type_, text in (("text/plain", letter.text), ("text/html", letter.html))
        if text is not None
    ]
    if len(parts) == 1:
        body = parts[0]
    else:
        # Neither an encoded line nor a header of these parts can begin like this.
        boundary = f"=_{letter.message_id.partition('@')[0]}"
        headers.append(f'Content-Type: multipart/alternative; boundary="{boundary}"')
        body = "".join(f"\r\n--{boundary}\r\n{part}" for part in parts) + f"\r\n--{boundary}--\r\n"
    return Mail(own.address, letter.recipient, ("\r\n".join(headers) + "\r\n" + body).encode())


def _part(type_: str, text: str) -> str:
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    encoded = binascii.b2a_qp(lines.encode()).decode("ascii").replace("\r\n", "\n").replace("\n", "\r\n")
    return (
        f"Content-Type: {type_}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        f"{encoded.removesuffix(chr(13) + chr(10))}\r\n"
    )


def _encoded(subject: str) -> str:
    plain = subject.isascii() and "=?" not in subject
    try:
        folded = Header(subject, "us-ascii" if plain else "utf-8", header_name="Subject").encode()
    except HeaderParseError:  # what looks like a header within the subject
        folded = Header(subject, "utf-8", header_name="Subject").encode()
    return folded.replace("\r\n", "\n").replace("\n", "\r\n")
