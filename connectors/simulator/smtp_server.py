"""The sockets of the simulated mail server: takes mail by SMTP, and hands over by LMTP what people write."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword

from connectors.provider import Answer, Webhook
from connectors.simulator.played import ApiRequest
from connectors.simulator.smtp import MAIL

Take = Callable[[ApiRequest], Awaitable[Answer | None]]
"""Judges a mail with one recipient; None breaks the connection without a reply."""
Refuse = Callable[[str], Answer | None]
"""The reply to a recipient that is refused before the mail; None takes it."""

_LARGEST_MAIL: Final = 50 * 1024 * 1024
_LARGEST_REPLY: Final = 64 * 1024
_MOST_LINES: Final = 100
_HAND_OVER_S: Final = 60.0

# It would log addresses of people.
logging.getLogger("mail.log").setLevel(logging.ERROR)


class HandOverError(Exception):
    """The receiver did not take a mail: the text is its reply."""


class _Handler:
    def __init__(self, take: Take, refuse: Refuse) -> None:
        self._take: Final = take
        self._refuse: Final = refuse

    async def handle_RCPT(  # noqa: N802 - the name and the arguments that aiosmtpd asks for
        self, _server: Any, _session: Any, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        answer = self._refuse(address)
        if answer is not None:
            return _written(answer)
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, _session: Any, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.original_content or b""
        reply = "250 2.0.0 OK"
        for recipient in envelope.rcpt_tos:
            headers = {"x-envelope-from": envelope.mail_from or "", "x-envelope-to": recipient}
            answer = await self._take(ApiRequest(MAIL, "/", "", headers, content))
            if answer is None:
                if server.transport is not None:
                    server.transport.abort()  # type: ignore[attr-defined] # a transport of TCP
                return "451 4.3.0 Nobody reads this"
            reply = _written(answer)
        return reply


async def smtp_server(
    host: str,
    port: int,
    take: Take,
    refuse: Refuse = lambda _: None,
    tls: ssl.SSLContext | None = None,
    password: str | None = None,
) -> asyncio.Server:
    """A server that listens; port 0 takes a free one. With `tls` it asks for STARTTLS, with `password` for a login."""

    def judge(_server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any) -> AuthResult:
        known = isinstance(given, LoginPassword) and given.password.decode("utf-8", "replace") == password
        return AuthResult(success=known, handled=known)

    protocol = partial(
        SMTP,
        _Handler(take, refuse),
        data_size_limit=_LARGEST_MAIL,
        hostname=socket.gethostname(),
        tls_context=tls,
        require_starttls=tls is not None,
        auth_required=password is not None,
        auth_require_tls=tls is not None,
        authenticator=judge if password is not None else None,
        loop=asyncio.get_running_loop(),
    )
    return await asyncio.get_running_loop().create_server(protocol, host, port)


async def hand_over(host: str, port: int, mail: Webhook) -> None:
    """Hands a mail to a receiver by LMTP.

    Raises:
        HandOverError: it refused the mail.
        OSError: there is no connection, or no reply in time.
    """
    sender, recipient = (mail.headers[name].strip("<>") for name in ("x-envelope-from", "x-envelope-to"))
    lines = mail.body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n").removesuffix(b"\r\n")
    stuffed = (b"\r\n" + lines).replace(b"\r\n.", b"\r\n..")[2:]
    async with asyncio.timeout(_HAND_OVER_S):
        reader, writer = await asyncio.open_connection(host, port, limit=_LARGEST_REPLY)
        try:
            await _replied(reader, "2")
            for command, wanted in (
                (b"LHLO simulator", "2"),
                (f"MAIL FROM:<{sender}>".encode(), "2"),
                (f"RCPT TO:<{recipient}>".encode(), "2"),
                (b"DATA", "3"),
                (stuffed + b"\r\n.", "2"),
            ):
                writer.write(command + b"\r\n")
                await writer.drain()
                await _replied(reader, wanted)
            writer.write(b"QUIT\r\n")
        finally:
            writer.close()


async def _replied(reader: asyncio.StreamReader, wanted: str) -> None:
    for _ in range(_MOST_LINES):
        line = (await reader.readline()).decode("utf-8", "replace").strip()
        if line[3:4] != "-":
            break
    if not line.startswith(wanted):
        raise HandOverError(line or "the connection was closed")


def _written(answer: Answer) -> str:
    return f"{answer.status} {answer.body.decode('utf-8', 'replace')}"
