"""The mail side of the receiver: takes mail by LMTP (RFC 2033) from one's own mail server.

LMTP answers for each recipient once the mail is there, so the server keeps what was not acknowledged. The mail is held
in memory: its size, its lines and the mails of all connections together are bounded.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, cast

import structlog
from aiosmtpd import lmtp as protocol
from aiosmtpd.smtp import Envelope
from aiosmtpd.smtp import Session as SmtpSession

from connectors.provider import MAX_MAIL, Channel, Webhook
from connectors.providers.addresses import sendable_address
from connectors.providers.smtp import LMTP, PROVIDER, host_and_port
from workers.errors import SettingsError
from workers.process.metrics.of_receivers import WEBHOOKS

Take = Callable[[Channel, Webhook], Awaitable[bool]]
"""Whether everything that a mail says is acknowledged."""

MOST_CONNECTIONS: Final = 50
_MOST_RECIPIENTS: Final = 100
_MOST_LINES: Final = 1_000_000
_LINES_AT_ONCE: Final = 1_000
_PIECE: Final = 64 * 1024
_HELD_BYTES: Final = 192 * 1024 * 1024
"""Of the mails of all connections together."""
_IDLE_S: Final = 300.0
"""Between two commands, and for a whole mail with its answer."""
_STOP_S: Final = 15.0

_TAKEN: Final = "250 2.0.0 Taken"
_LATER: Final = "451 4.3.0 Try again later"
_BUSY: Final = "452 4.3.1 Too much mail at once, try again later"
_TOO_LARGE: Final = "552 5.3.4 The mail is too large"
_UNKNOWN: Final = "550 5.1.1 No such mailbox here"
_STOPPING: Final = b"421 4.3.2 Going down\r\n"
_FULL: Final = b"421 4.3.2 Too many connections\r\n"

log = structlog.get_logger()
# It would log addresses and commands of people.
logging.getLogger("mail.log").setLevel(logging.ERROR)


class _Shared:
    """What the connections of all listeners share."""

    def __init__(self, take: Take) -> None:
        self.take: Final = take
        self.sessions: set[_Session] = set()
        self.held = 0


class _Mailboxes:
    """Hooks of aiosmtpd: which recipients one listener knows."""

    def __init__(self, channels: dict[str, Channel]) -> None:
        self._channels: Final = channels

    def channel(self, address: str) -> Channel | None:
        return self._channels.get((sendable_address(address) or address).lower())

    async def handle_RCPT(  # noqa: N802 - the name and the arguments that aiosmtpd asks for
        self, _server: Any, _session: SmtpSession, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.channel(address) is None:
            return _UNKNOWN
        if len(envelope.rcpt_tos) >= _MOST_RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"


class _Session(protocol.LMTP):
    """One connection."""

    line_length_limit = _PIECE

    def __init__(self, mailboxes: _Mailboxes, shared: _Shared) -> None:
        super().__init__(
            mailboxes,
            data_size_limit=MAX_MAIL,
            enable_SMTPUTF8=True,
            hostname=socket.gethostname(),
            ident="LMTP",
            timeout=_IDLE_S,
            loop=asyncio.get_running_loop(),
        )
        self._mailboxes: Final = mailboxes
        self._shared: Final = shared
        self._refused = False
        self.busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if len(self._shared.sessions) >= MOST_CONNECTIONS:
            self._refused = True
            _say_goodbye(transport, _FULL)
            return
        self._shared.sessions.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._shared.sessions.discard(self)
        if not self._refused:
            super().connection_lost(error)

    def eof_received(self) -> bool | None:
        return False if self._refused else super().eof_received()

    def stop(self) -> None:
        """Ends the connection."""
        if self.transport is not None:
            _say_goodbye(self.transport, _STOPPING)

    async def handle_exception(self, error: Exception) -> str:
        """The error ends this connection, not the process: the mail server tries again."""
        log.error("A connection of LMTP failed.", action="lmtp_failed", error=type(error).__name__, exc_info=error)
        self.loop.call_soon(self.stop)
        return _LATER

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802 - aiosmtpd's name
        """Reads a mail, and answers for each recipient."""
        if await self.check_helo_needed():
            return
        envelope = self.envelope
        if envelope is None or not envelope.rcpt_tos or arg:
            await self.push("501 5.5.4 DATA takes no arguments" if arg else "503 5.5.1 Need RCPT first")
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        self.busy = True
        mail = bytearray()
        try:
            refusal = await self._read_into(mail)
            refused = [refusal] * len(envelope.rcpt_tos) if refusal is not None else None
            replies = refused or await self._taken(envelope, bytes(mail))
            self.envelope = self._create_envelope()
            await self.push("\r\n".join(replies))
        finally:
            self._shared.held -= len(mail)
            self.busy = False

    async def _read_into(self, mail: bytearray) -> str | None:
        """Reads up to the end of the mail; returns why it was not kept, if so."""
        lines, begins, refusal = 0, True, None
        while True:
            try:
                piece, ends = await self._reader.readuntil(b"\r\n"), True
            except asyncio.LimitOverrunError as long:  # a line may come in pieces
                piece, ends = await self._reader.read(long.consumed), False
            if begins and piece == b".\r\n":
                return refusal
            if begins and piece.startswith(b"."):
                piece = piece[1:]
            begins = ends
            lines += 1
            if lines % _LINES_AT_ONCE == 0:
                await asyncio.sleep(0)  # many short lines are in memory at once: others have their turn
            if refusal is not None:
                continue
            if len(mail) + len(piece) > MAX_MAIL or lines > _MOST_LINES:
                refusal = _TOO_LARGE
                WEBHOOKS.labels(PROVIDER.name, "too_large").inc()
            elif self._shared.held + len(piece) > _HELD_BYTES:
                refusal = _BUSY
                WEBHOOKS.labels(PROVIDER.name, "busy").inc()
            else:
                self._shared.held += len(piece)
                mail += piece
                continue
            self._shared.held -= len(mail)
            mail.clear()

    async def _taken(self, envelope: Envelope, mail: bytes) -> list[str]:
        """The reply for each recipient. After one that was not acknowledged the others are not tried."""
        replies: dict[str, str] = {}
        for address in envelope.rcpt_tos:
            channel = self._mailboxes.channel(address)
            if channel is None or channel.place in replies:
                continue
            if _LATER in replies.values():
                replies[channel.place] = _LATER
                continue
            headers = {"x-envelope-from": (envelope.mail_from or "").strip("<>"), "x-envelope-to": address}
            acknowledged = await self._shared.take(channel, Webhook(LMTP, "", headers, mail))
            replies[channel.place] = _TAKEN if acknowledged else _LATER
        channels = [self._mailboxes.channel(address) for address in envelope.rcpt_tos]
        return [replies[channel.place] if channel is not None else _UNKNOWN for channel in channels]


def _say_goodbye(transport: asyncio.BaseTransport, words: bytes) -> None:
    connection = cast("asyncio.WriteTransport", transport)  # those of uvloop are ones without saying so
    connection.write(words)
    connection.close()


def listeners(channels: Sequence[Channel]) -> dict[tuple[str, int], dict[str, Channel]]:
    """The channels of each address to listen at, by their own addresses in lower case.

    Raises:
        SettingsError: two channels have one address at one listener.
    """
    found: dict[tuple[str, int], dict[str, Channel]] = {}
    for channel in channels:
        if channel.provider.name != "smtp":
            continue
        here = found.setdefault(host_and_port(channel.keys.listen), {})
        other = here.setdefault(channel.keys.own.address.lower(), channel)
        if other is not channel:
            raise SettingsError(f"channels {other.place} and {channel.place} have one `from` at one `listen`")
    return found


async def serve_lmtp(
    channels: Sequence[Channel], take: Take, stop: asyncio.Event, ready: Callable[[], None] = lambda: None
) -> None:
    """Takes mail for the channels of SMTP until stopped; then finishes the mails that are being read.

    Raises:
        SettingsError: an address to listen at is not available, or two channels have one address.
    """
    shared = _Shared(take)
    servers: list[asyncio.Server] = []
    loop = asyncio.get_running_loop()
    try:
        for (host, port), found in listeners(channels).items():
            mailboxes = _Mailboxes(found)
            try:
                servers.append(await loop.create_server(partial(_Session, mailboxes, shared), host, port))
            except OSError as error:
                reason = error.strerror or error
                raise SettingsError(f"`listen`: {host}:{port} is not available: {reason}") from error
            places = [channel.place for channel in found.values()]
            log.info(f"Taking mail by LMTP at {host}:{port}.", action="ready", channels=places)
        ready()
        await stop.wait()
    finally:
        for server in servers:
            server.close()
        await _finish(shared)


async def _finish(shared: _Shared) -> None:
    """Lets the mails that are being read end, within a bound; ends every other connection at once."""
    until = asyncio.get_running_loop().time() + _STOP_S
    while shared.sessions and asyncio.get_running_loop().time() < until:
        for session in [session for session in shared.sessions if not session.busy]:
            session.stop()
        await asyncio.sleep(0.05)
    for session in list(shared.sessions):
        session.stop()
