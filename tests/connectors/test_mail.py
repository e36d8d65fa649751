"""Mail: honest mail is read as Python's own package reads it, and hostile mail costs little."""

import email
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, default
from time import process_time
from typing import Any, Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.provider import MAX_MAIL, Channel, Mail, Unsendable, Webhook
from connectors.providers.addresses import Mailbox, mailboxes, sendable_address
from connectors.providers.forms import form_of
from connectors.providers.mail import ParsedMail, letter_of, read
from connectors.providers.mime import MOST_PARTS, decoded, words
from connectors.understanding import Understanding
from tests.connectors.test_vectors import body_of, dispatch
from tests.connectors.vectors import FILES, channel_of

NOW: Final = datetime(2026, 12, 1, 10, tzinfo=UTC)
CPU_S: Final = 15.0  # far more than any case takes; a quadratic reader takes minutes
HEAD: Final = b"From: ada@byron.example\r\nMessage-ID: <h@byron.example>\r\nMIME-Version: 1.0\r\n"
PRINTABLE: Final = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf", "Co", "Cn", "Zl", "Zp"]), max_size=200)
TEXTS: Final = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\v\f\x1c\x1d\x1e\x85\u2028\u2029")
)
CHARSETS: Final = st.sampled_from(["utf-8", "iso-8859-1", "windows-1252", "koi8-r", "iso-2022-jp", "gb18030", "utf-16"])


def ended(text: str) -> str:
    return text.replace("\r\n", "\n").rstrip("\n")


def lines_of(text: str | None) -> str:
    return (text or "").replace("\r\n", "\n").rstrip()


@settings(max_examples=200, deadline=None)
@given(text=TEXTS, html=TEXTS | st.none(), file=st.binary(max_size=300) | st.none(), name=PRINTABLE, cte=st.booleans())
def test_mail_is_read_as_pythons_own_package_writes_it(
    text: str, html: str | None, file: bytes | None, name: str, *, cte: bool
) -> None:
    mail = EmailMessage(SMTP)
    mail["From"] = Address("Ada", "ada", "byron.example")
    mail.set_content(text, cte="base64" if cte else "quoted-printable")
    if html is not None:
        mail.add_alternative(html, subtype="html", cte="quoted-printable" if cte else "base64")
    if file is not None:
        mail.add_attachment(file, "application", "pdf", filename="x" + " ".join(name.split()))
    letter = letter_of(mail.as_bytes(), None)

    assert lines_of(letter.text) == lines_of(text)
    assert lines_of(letter.html) == lines_of(html)
    assert [one.size for one in letter.attachments] == ([] if file is None else [len(file)])
    assert not letter.cut


@settings(max_examples=200, deadline=None)
@given(text=PRINTABLE, charset=CHARSETS)
def test_a_text_of_any_charset_is_read(text: str, charset: str) -> None:
    raw = text.encode(charset, "ignore")
    meant = raw.decode("cp1252" if charset == "iso-8859-1" else charset, "replace")
    head = f"From: a@b.example\r\nContent-Type: text/plain; charset={charset}\r\n\r\n".encode()

    assert lines_of(letter_of(head + raw, None).text) == (meant.rstrip() if meant.strip() else "")


@pytest.mark.parametrize(
    "charset",
    ["", "us-ascii", "utf-8", "idna", "punycode", "unicode_escape", "hex", "rot13", "../../x", "\0", "ß", "x" * 99],
)
def test_a_charset_that_is_none_or_dangerous_is_not_looked_for(charset: str) -> None:
    assert decoded("Grüße \\u0041".encode(), charset) == "Grüße \\u0041"
    assert decoded(b"Gr\xfc\xdfe", charset) in ("Grüße", "Gr��e")


@pytest.mark.parametrize("over", range(4))
def test_a_long_text_is_cut_between_characters(over: int) -> None:
    raw = HEAD + b"\r\n" + b"x" * over + "€".encode() * 500_000
    letter = letter_of(raw, None)

    assert letter.cut
    assert letter.text is not None
    assert set(letter.text) <= {"x", "€"}


@pytest.mark.parametrize("length", range(9))
def test_base64_may_be_cut_anywhere(length: int) -> None:
    raw = HEAD + b"Content-Transfer-Encoding: base64\r\n\r\n" + b"SGVsbG8h"[:length]

    assert (letter_of(raw, None).text or "") == "Hello!"[: length * 3 // 4]


@settings(max_examples=200, deadline=None)
@given(subject=PRINTABLE, name=PRINTABLE)
def test_encoded_headers_are_read(subject: str, name: str) -> None:
    subject, name = " ".join(subject.split()), " ".join(name.split())
    mail = EmailMessage(SMTP)
    mail["Subject"] = subject
    mail["From"] = Address(name, "ada", "byron.example")
    headers = letter_of(mail.as_bytes() + b"\r\nHi", None).headers

    assert words(headers["subject"]) == words(subject)
    assert [box.address for box in mailboxes(headers["from"])] == ["ada@byron.example"]


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("ada@x.example", [("", "ada@x.example")]),
        ("Ada Byron <ada@x.example>", [("Ada Byron", "ada@x.example")]),
        ('"Byron, Ada" <ada@x.example>, b@y.example', [("Byron, Ada", "ada@x.example"), ("", "b@y.example")]),
        ("ada@x.example (Ada (B.) Byron)", [("Ada (B.) Byron", "ada@x.example")]),
        ("A(comment <no@x.example>, )da <ada@x.example>", [("Ada", "ada@x.example")]),
        (
            "Group: a@x.example, B <b@x.example>;, c@x.example",
            [("", "a@x.example"), ("B", "b@x.example"), ("", "c@x.example")],
        ),
        ("<@relay.example,@other.example:ada@x.example>", [("", "ada@x.example")]),
        ("Ada <ada@x.example", [("Ada", "ada@x.example")]),
        ('"Ada <ada@x.example>', [("", "ada@x.example")]),
        ('"a b"@x.example', [("", '"a b"@x.example')]),
        ('"no@x.example" <ada@y.example>', [("no@x.example", "ada@y.example")]),
        ("=?utf-8?q?Zo=C3=AB=2C?= =?utf-8?q?_O'Neil?= <zoe@x.example>", [("Zoë, O'Neil", "zoe@x.example")]),
        ("ünï@bücher.example", [("", "ünï@bücher.example")]),
        ("Ada\tByron   <ada@x.example>", [("Ada Byron", "ada@x.example")]),
        ("ada", []),
        ("Undisclosed recipients:;", []),
        ("<>", []),
        ("ada@x.example@y.example", []),
        (f"{'x' * 400}@y.example", []),
    ],
)
def test_addresses_are_read_as_people_write_them(header: str, wanted: list[tuple[str, str]]) -> None:
    assert mailboxes(header) == [Mailbox(*one) for one in wanted]


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("Ada.B+x@X.example", "Ada.B+x@x.example"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@localhost", "ada@localhost"),
        ("ada@x.example\n", None),
        ("ada@x.example\r\nBcc: b@y.example", None),
        ("<ada@x.example>", None),
        ("a da@x.example", None),
        ("ünï@x.example", None),
        ("ada@x..example", None),
        ("ada@-x.example", None),
        ("ada@[127.0.0.1]", None),
        ("@x.example", None),
        ("ada@", None),
        ("ada@" + "x" * 64 + ".example", None),
        ("ada@xn--\u00fc.example", None),
    ],
)
def test_only_addresses_that_smtp_carries_are_sent_to(address: str, wanted: str | None) -> None:
    assert sendable_address(address) == wanted


MIXED: Final = HEAD + b"Content-Type: multipart/mixed; boundary=x\r\n\r\n"


def full(head: bytes, repeated: bytes, size: int = MAX_MAIL) -> bytes:
    return head + repeated * ((size - len(head)) // len(repeated))


def nested() -> bytes:
    levels = (b"--x%06d\r\nContent-Type: multipart/mixed; boundary=x%06d\r\n\r\n" % (n, n + 1) for n in range(500_000))
    return HEAD + b"Content-Type: multipart/mixed; boundary=x000000\r\n\r\n" + b"".join(levels)


PART: Final = b"--x\r\nContent-Type: text/plain"
HOSTILE: Final[dict[str, Callable[[], bytes]]] = {
    "parts": lambda: full(MIXED, PART + b"\r\n\r\nhi\r\n"),
    "empty parts": lambda: full(MIXED, b"--x\r\n"),
    "parts of parts": nested,
    "parts of parts with one boundary": lambda: full(
        MIXED, b"--x\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
    ),
    "lines like a boundary": lambda: full(HEAD + b'Content-Type: multipart/mixed; boundary="-"\r\n\r\n', b"\n---x"),
    "dashes": lambda: full(HEAD + b'Content-Type: multipart/mixed; boundary="-"\r\n\r\n', b"-"),
    "spaces after a boundary": lambda: full(MIXED + b"--x", b" "),
    "headers": lambda: full(HEAD, b"X-A: b\r\n"),
    "a header": lambda: full(HEAD + b"X-A: ", b"b"),
    "a folded header": lambda: full(HEAD + b"X-A:", b"\r\n b"),
    "headers of parts": lambda: full(MIXED, PART + b"\r\nX: y" * 2_000 + b"\r\n\r\nhi\r\n"),
    "quotes": lambda: full(MIXED, PART + b';a="' * 4_000 + b"\r\n\r\nhi\r\n"),
    "parameters": lambda: full(MIXED, PART + b"".join(b";a*%d=b" % n for n in range(2_000)) + b"\r\n\r\nhi\r\n"),
    "semicolons": lambda: full(MIXED, PART + b";" * 16_000 + b"\r\n\r\nhi\r\n"),
    "comments": lambda: HEAD + b"To: " + b"(" * 100_000 + b"\r\nCc: " + b"a@b.example," * 10_000 + b"\r\n\r\nhi",
    "references": lambda: HEAD + b"References: " + b"<a@b> " * 40_000 + b"\r\n\r\nhi",
    "encoded words": lambda: HEAD + b"Subject: " + b"=?utf-8?b?4oKs?= " * 20_000 + b"\r\n\r\nhi",
    "halves of encoded words": lambda: HEAD + b"Subject: " + b"=?a?q?" * 60_000 + b"\r\n\r\nhi",
    "empty lines": lambda: full(HEAD + b"\r\n", b"\r\n"),
    "base64": lambda: full(HEAD + b"Content-Transfer-Encoding: base64\r\n\r\n", b"QUJD"),
    "no base64": lambda: full(HEAD + b"Content-Transfer-Encoding: base64\r\n\r\n", b"="),
    "a file of base64": lambda: full(
        HEAD + b"Content-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\n", b"QUJD\r\n"
    ),
    "quoted-printable": lambda: full(
        HEAD + b"Content-Type: a/b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", b"=3D"
    ),
    "utf-7": lambda: full(HEAD + b"Content-Type: text/html; charset=utf-7\r\n\r\n", b"+AGE-"),
    "utf-16": lambda: full(HEAD + b"Content-Type: text/plain; charset=utf-16\r\n\r\n", b"\xd8\x00"),
    "zeros": lambda: full(HEAD + b"\r\n", b"\0"),
    "a report": lambda: full(
        HEAD + b"Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n",
        b"--x\r\nContent-Type: message/delivery-status\r\n\r\n" + b"Action: failed\r\n\r\n" * 20_000,
    ),
    "reports of ours": lambda: full(
        HEAD + b"Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n",
        b"--x\r\nContent-Type: message/rfc822\r\n\r\n" + b"00000000-0000-0000-0000-" * 10_000,
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_mail_costs_little_and_leaves_something(name: str) -> None:
    channel, found, raw = channel_of("smtp"), Understanding(), HOSTILE[name]()
    webhook = Webhook("LMTP", "", {"x-envelope-from": "ada@byron.example"}, raw)
    tracemalloc.start()
    try:
        began = process_time()
        channel.provider.understand(channel, webhook, found, NOW)
        took_s, peak = process_time() - began, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert found.records or found.ignored
    assert not found.errors
    assert took_s < CPU_S
    assert peak < 3 * MAX_MAIL


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded", b"a=b&" * (MAX_MAIL // 4)),
        ("application/x-www-form-urlencoded", b"body-mime=" + b"%41" * (MAX_MAIL // 12)),
        ("application/x-www-form-urlencoded", b"&" * MAX_MAIL),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="token"\r\n\r\ny\r\n' * 600_000,
        ),
        ("multipart/form-data; boundary=" + "x;" * 20_000, b"--x\r\n" * 100_000),
    ],
    ids=["fields", "quoted", "nothing", "parts", "kind"],
)
def test_a_hostile_form_costs_little(kind: str, body: bytes) -> None:
    tracemalloc.start()
    try:
        began = process_time()
        form_of(kind, body, frozenset({"token", "body-mime"}))
        took_s, peak = process_time() - began, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert took_s < CPU_S
    assert peak < 3 * MAX_MAIL


def test_a_large_event_is_not_read_before_it_is_verified() -> None:
    channel = channel_of("mailgun")
    [case] = [one for one in FILES["mailgun"]["signatures"] if one["name"] == "an event"]
    small = Webhook("POST", "", case["headers"], body_of(case))
    large = small._replace(body=small.body.ljust(4 * 1024 * 1024 + 1))

    assert [channel.provider.verify(channel, webhook, NOW) for webhook in (small, large)] == [True, False]


def test_more_parts_than_we_read_are_told() -> None:
    letter = letter_of(MIXED + (PART + b"; name=a.txt\r\n\r\nhi\r\n") * (MOST_PARTS + 1) + b"--x--\r\n", None)

    assert (len(letter.attachments), letter.cut) == (MOST_PARTS, True)


@settings(max_examples=300, deadline=None)
@given(raw=st.binary(max_size=300), at=st.integers(0, len(MIXED)))
@example(raw=b"--x\r\n--x--", at=len(MIXED))
def test_any_bytes_are_a_mail(raw: bytes, at: int) -> None:
    letter = letter_of(MIXED[:at] + raw + MIXED[at:] + PART + raw, "ada@byron.example")

    assert isinstance(letter, ParsedMail)
    read(channel_of("smtp"), "help@acme.example", letter, Understanding(), NOW)


def mail_of(content: dict[str, Any], **told: Any) -> tuple[Channel, Mail]:
    channel = channel_of("smtp", **told)
    mail = channel.provider.request(channel, dispatch("smtp", {"address": "ada@byron.example", "content": content}))
    assert isinstance(mail, Mail)
    return channel, mail


@settings(max_examples=200, deadline=None)
@given(text=TEXTS.filter(str.strip), html=TEXTS | st.none(), subject=st.text(st.characters(exclude_categories=["Cs"])))
@example(text="x", html=None, subject="Hi\r\nBcc: evil@x.example\r\n\r\nBody")
@example(text=".\n..\n.x\nFrom here", html="x" * 3_000, subject="=?utf-8?q?no?= " + "x" * 900)
@example(text="--=_\n--=_7b0c5e9a-3a53-4a86-9d0b-0d8f3f9f4a11.1--", html="a", subject="\u2028\x85\x0b\x1c")
def test_a_mail_that_we_write_says_what_was_asked_and_no_more(text: str, html: str | None, subject: str) -> None:
    _, mail = mail_of({"type": "text", "text": text, "html": html, "subject": subject})
    arrived = email.message_from_bytes(mail.message, policy=default)
    both = html is not None and html != ""

    wanted = ["From", "To", "Subject", "Message-ID", "MIME-Version", "Content-Type"]
    assert arrived.keys() == (wanted if both else [*wanted, "Content-Transfer-Encoding"])
    assert not arrived.defects
    assert all(len(line) <= 998 and b"\r" not in line and b"\n" not in line for line in mail.message.split(b"\r\n"))
    assert mail.message.isascii()
    plain, page = arrived.get_body(["plain"]), arrived.get_body(["html"])
    assert plain is not None
    assert ended(plain.get_content()) == ended(text)
    assert ended(page.get_content() if page is not None else "") == ended(html or "")


@settings(max_examples=300, deadline=None)
@given(address=st.text(max_size=40) | st.from_regex(r"[a-z\r\n ]{1,5}@[a-z.\r\n]{1,9}"), reply_to=st.text(max_size=40))
def test_no_address_and_no_id_adds_a_header(address: str, reply_to: str) -> None:
    channel = channel_of("smtp")
    told = {"address": address, "content": {"type": "text", "text": "Hi", "reply_to": reply_to or "x"}}
    mail = channel.provider.request(channel, dispatch("smtp", told))

    if isinstance(mail, Unsendable):
        return
    assert isinstance(mail, Mail)
    allowed = {b"From", b"To", b"Subject", b"Message-ID", b"In-Reply-To", b"References", b"MIME-Version"}
    names = {line.partition(b":")[0] for line in mail.message.partition(b"\r\n\r\n")[0].split(b"\r\n")}
    assert names <= allowed | {b"Content-Type", b"Content-Transfer-Encoding"}
    assert "\n" not in mail.recipient


def test_our_own_mail_is_found_again_in_a_reply() -> None:
    channel, mail = mail_of({"type": "text", "text": "Hi"})
    sent = email.message_from_bytes(mail.message, policy=default)
    answer = f"From: ada@byron.example\r\nIn-Reply-To: {sent['Message-ID']}\r\n\r\nThanks".encode()
    found = Understanding()
    channel.provider.understand(channel, Webhook("LMTP", "", {}, answer), found, NOW)

    assert b'"reply_to":"7b0c5e9a-3a53-4a86-9d0b-0d8f3f9f4a11.1@acme.example"' in found.records[0].value
