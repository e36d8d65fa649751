"""Plays a mail server and the people behind it. `smtp_server.py` holds its sockets."""

from dataclasses import replace
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr
from typing import Final

import msgspec

from connectors.provider import Answer, Channel, Webhook
from connectors.providers.addresses import sendable_address
from connectors.providers.mail import id_in, letter_of
from connectors.providers.smtp import LMTP
from connectors.simulator.played import ApiRequest, Played, Report, Said, Taken

MAIL: Final = "MAIL"
"""The method of a request that is a mail; its addresses are in `x-envelope-from` and `x-envelope-to`."""


def pointed_at(channel: Channel, host: str, port: int) -> Channel:
    """The channel with this server of the same machine as the one that takes its mail, without TLS and password."""
    keys = channel.keys
    told = {"smtp_host": host, "smtp_port": port, "smtp_tls": "none", "username": None, "password": None}
    return replace(channel, keys=msgspec.structs.replace(keys, **told))


def take(_channel: Channel, request: ApiRequest, number: int) -> Taken | Answer:
    """Takes a mail with one recipient."""
    recipient = sendable_address(request.headers.get("x-envelope-to", ""))
    if request.method != MAIL or recipient is None:
        return Answer(550, {}, b"5.1.3 Bad recipient address")
    letter = letter_of(request.body, request.headers.get("x-envelope-from"))
    id_ = id_in(letter.headers.get("message-id"))
    if id_ is None or "from" not in letter.headers:
        return Answer(554, {}, b"5.6.0 The message has no From or no Message-ID")
    answer = Answer(250, {"message-id": f"<{id_}>"}, f"2.0.0 Ok: queued as {number:X}".encode())
    return Taken(recipient, letter.text or letter.html or "", id_, answer)


def say(channel: Channel, said: Said) -> Webhook:
    """A mail from a person."""
    mail = _mail(channel, said.at)
    mail["From"] = formataddr((said.name or "", said.sender))
    mail["Subject"] = " ".join(said.text.split())[:60] or "Hello"
    mail["Message-ID"] = f"<{said.number}.simulated@{said.sender.rpartition('@')[2]}>"
    mail.set_content(said.text)
    return _handed_over(channel, said.sender, mail)


def report(channel: Channel, taken: Taken, what: Report, at: datetime) -> Webhook | None:
    """A report of the mail system about a mail (RFC 3464). Nobody reports that a mail was read."""
    if what == "read":
        return None
    domain = channel.keys.own.address.rpartition("@")[2]
    action, status = {"delivered": ("delivered", "2.0.0"), "failed": ("failed", "5.1.1")}[what]
    mail = _mail(channel, at)
    mail["From"] = f"Mail Delivery System <mailer-daemon@{domain}>"
    mail["Subject"] = "Delivery report"
    mail["Message-ID"] = f"<report.{taken.provider_message_id}>"
    mail["Auto-Submitted"] = "auto-replied"
    parts = [
        "Content-Type: text/plain\r\n\r\nThis is a report about your message.",
        f"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; {domain}\r\n\r\n"
        f"Final-Recipient: rfc822; {taken.recipient}\r\nAction: {action}\r\nStatus: {status}"
        + ("\r\nDiagnostic-Code: smtp; 550 5.1.1 User unknown" if what == "failed" else ""),
        f"Content-Type: text/rfc822-headers\r\n\r\nMessage-ID: <{taken.provider_message_id}>",
    ]
    mail["MIME-Version"] = "1.0"
    mail["Content-Type"] = 'multipart/report; report-type=delivery-status; boundary="report"'
    mail.set_payload("".join(f"--report\r\n{part}\r\n" for part in parts) + "--report--\r\n")
    return _handed_over(channel, "", mail)


def _mail(channel: Channel, at: datetime) -> EmailMessage:
    mail = EmailMessage(SMTP)
    mail["To"] = channel.keys.own.address
    mail["Date"] = format_datetime(at)
    return mail


def _handed_over(channel: Channel, sender: str, mail: EmailMessage) -> Webhook:
    headers = {"x-envelope-from": sender, "x-envelope-to": channel.keys.own.address}
    return Webhook(LMTP, "", headers, mail.as_bytes())


PLAYED: Final = Played(
    take=take,
    say=say,
    report=report,
    faults={
        "throttled": Answer(421, {}, b"4.7.0 Try again later, closing connection"),
        "broken": Answer(451, {}, b"4.3.0 Local error in processing"),
        "refused": Answer(550, {}, b"5.1.1 User unknown"),
    },
)
