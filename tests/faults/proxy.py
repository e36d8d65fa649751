"""A TCP proxy that damages connections: delays, tiny pieces, one silent direction, cuts."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, urlsplit

Address = tuple[str, int] | str
"""Host and port, or the path of a Unix socket."""

_PIECE: Final = 65_536
_RESET: Final = struct.pack("ii", 1, 0)


class Way:
    """One direction. Everything that goes this way, over every connection, is treated alike."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        """How long each piece takes."""
        self.piece = _PIECE
        """Most bytes that arrive at once."""
        self._passable = asyncio.Event()
        self._passable.set()
        self._passed = 0

    def swallow(self) -> None:
        """From now on nothing arrives, and nobody is told. What is under way arrives after `mend`."""
        self._passable.clear()

    def mend(self) -> None:
        self.delay_s, self.piece = 0.0, _PIECE
        self._passable.set()

    async def carry(self, data: bytes, to: asyncio.StreamWriter) -> None:
        """Brings the bytes there, as badly as told."""
        start = 0
        while start < len(data):
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            await self._passable.wait()
            piece = data[start : start + self.piece]
            to.write(piece)
            await to.drain()
            start += len(piece)
            self._passed += len(piece)

    async def is_silent(self, for_s: float, timeout_s: float = 30.0) -> None:
        """Waits until nothing has gone this way for so long: whatever was asked for before is answered."""
        async with asyncio.timeout(timeout_s):
            known = -1
            while known != self._passed:
                known = self._passed
                await asyncio.sleep(for_s)


@dataclass(eq=False)
class _Link:
    """One connection through the proxy. `unanswered`: the server's next answer is lost, and the connection with it."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    unanswered: bool = False

    def reset(self) -> None:
        for writer in (self.client, self.server):
            sock = writer.get_extra_info("socket")
            if sock is not None and sock.family != socket.AF_UNIX:
                with suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()


@dataclass(eq=False)
class Proxy:
    """Listens on `port` of the loopback. `up` is the way to the server, `down` the way back."""

    target: Address
    port: int
    up: Way = field(default_factory=Way)
    down: Way = field(default_factory=Way)
    _links: set[_Link] = field(default_factory=set)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _words: bytes = b""
    _lost: asyncio.Event = field(default_factory=asyncio.Event)

    def reset(self) -> None:
        """Cuts every connection off without a farewell; what is under way is lost."""
        for link in list(self._links):
            link.reset()

    def mend(self) -> None:
        """From now on everything arrives as usual; what was held up first."""
        self.up.mend()
        self.down.mend()

    async def lose_answer(self, words: bytes, timeout_s: float = 30.0) -> None:
        """The next request with these words arrives, and is answered; the answer is lost, and the connection with it.

        Raises:
            TimeoutError: nobody said these words.
        """
        self._words = words
        self._lost.clear()
        async with asyncio.timeout(timeout_s):
            await self._lost.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answers, server = await _connected(self.target)
        except (OSError, asyncio.CancelledError):
            await _aborted(writer)
            return
        link = _Link(writer, server)
        self._links.add(link)
        ways = [
            asyncio.create_task(self._requests(link, reader), name="up"),
            asyncio.create_task(self._answers(link, answers), name="down"),
        ]
        self._tasks.update(ways)
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # One side that closes ends the connection; neither protocol uses half-closed ones.
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._tasks.difference_update(ways)
            self._links.discard(link)
            await _aborted(writer, server)

    async def _requests(self, link: _Link, reader: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while data := await reader.read(_PIECE):
                if self._words and self._words in data:
                    self._words, link.unanswered = b"", True
                await self.up.carry(data, link.server)

    async def _answers(self, link: _Link, reader: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while data := await reader.read(_PIECE):
                if link.unanswered:
                    link.reset()
                    self._lost.set()
                    return
                await self.down.carry(data, link.client)


@asynccontextmanager
async def proxy(target: Address, port: int = 0) -> AsyncIterator[Proxy]:
    """A proxy before `target`; `port` 0: any free one."""
    made = Proxy(target, port)
    serving: set[asyncio.Task[None]] = set()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(made.serve(reader, writer))
        serving.add(task)
        task.add_done_callback(serving.discard)

    server = await asyncio.start_server(accepted, "127.0.0.1", port)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for task in list(serving):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


async def _aborted(*ends: asyncio.StreamWriter) -> None:
    """Cuts the ends off and waits until they are closed: Python complains of a socket that outlives its loop."""
    for end in ends:
        end.transport.abort()
    for end in ends:
        with suppress(OSError):
            await end.wait_closed()


async def _connected(target: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if isinstance(target, str):
        return await asyncio.open_unix_connection(target)
    return await asyncio.open_connection(*target)


def socket_of(database: str) -> str:
    """The Unix socket of a libpq URL that names its folder."""
    query = parse_qs(urlsplit(database).query)
    return f"{query['host'][0]}/.s.PGSQL.{query.get('port', ['5432'])[0]}"


def through(proxied: Proxy, database: str) -> str:
    """The libpq URL of the same database, by way of the proxy."""
    return f"postgresql://postgres@127.0.0.1:{proxied.port}{urlsplit(database).path}?sslmode=disable"
