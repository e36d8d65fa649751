"""Gives mail to an SMTP server: one connection for each mail, with TLS and verified certificates."""

import asyncio
import re
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

import aiosmtplib

from connectors.provider import Answer, Channel, Mail
from connectors.providers.addresses import domain_of
from connectors.sender.transport import Broken, NotConnected

IMPLICIT_TLS_PORT: Final = 465
_SHARE: Final = 0.9
"""Of the time: whoever gives it must not end us before we can say what became of the mail."""
_GOODBYE: Final = 0.05
"""Of the time."""
_FIRST_CODE: Final = 200
_MESSAGE_ID: Final = re.compile(rb"^Message-ID: (<[^\r\n]+>)\r$", re.MULTILINE)


async def deliver(channel: Channel, mail: Mail, timeout_s: float) -> Answer:
    """Gives a mail to the server of a channel, within `timeout_s` in all. The answer is the reply of SMTP that
    decided; its header `message-id` is that of the mail.

    Raises:
        NotConnected: nothing of the mail left.
        Broken: the connection broke, or time ran out, after the mail began to leave.
    """
    client = _client(channel, timeout_s)
    leaving = False
    try:
        async with asyncio.timeout(_SHARE * timeout_s):
            await client.connect()
            try:
                await client.mail(mail.sender)
                await client.rcpt(mail.recipient)
                leaving = True
                reply = await client.data(_dated(mail.message))
                code, words = reply.code, reply.message
            except aiosmtplib.SMTPResponseException as refused:
                code, words = refused.code, refused.message
                if code < _FIRST_CODE:  # no reply of SMTP
                    raise
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        client.close()
        reason = str(error) or type(error).__name__
        raise (Broken(reason) if leaving else NotConnected(reason)) from error
    except BaseException:
        client.close()
        raise
    await _leave(client, _GOODBYE * timeout_s)
    headers = {"message-id": found[1].decode()} if (found := _MESSAGE_ID.search(mail.message)) else {}
    return Answer(code, headers, words.encode())


def _client(channel: Channel, timeout_s: float) -> aiosmtplib.SMTP:
    keys = channel.keys
    encrypted = keys.smtp_tls == "required"
    return aiosmtplib.SMTP(
        hostname=keys.smtp_host,
        port=keys.smtp_port,
        username=keys.username,
        password=keys.password.text if keys.password is not None else None,
        local_hostname=domain_of(keys.own.address),
        use_tls=encrypted and keys.smtp_port == IMPLICIT_TLS_PORT,
        start_tls=encrypted and keys.smtp_port != IMPLICIT_TLS_PORT,
        timeout=timeout_s,
    )


def _dated(message: bytes) -> bytes:
    """The message with the time, which only the sender knows; servers need not add it."""
    return f"Date: {format_datetime(datetime.now(UTC))}\r\n".encode() + message


async def _leave(client: aiosmtplib.SMTP, within_s: float) -> None:
    """Says goodbye. The mail is decided: whether the server hears it does not matter."""
    try:
        with suppress(aiosmtplib.SMTPException, OSError):
            async with asyncio.timeout(within_s):
                await client.quit()
    finally:
        client.close()
