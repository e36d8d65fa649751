"""A receiver and a simulator at work inside a test, over real sockets, and a client that sends any bytes."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final, NamedTuple

from connectors.provider import Channel
from connectors.receiver.http import WebhookServer
from connectors.receiver.process import TOPICS
from connectors.receiver.taking import WebhookIntake
from connectors.simulator.deliveries import Deliveries
from connectors.simulator.playing import Simulator
from connectors.simulator.server import SimulatorServer
from tests.connectors.test_vectors import NOW
from tests.support.brokers import Broker
from workers.app.settings import load_settings
from workers.process.http_server import listening, serve_http
from workers.process.production import Production

LOOPBACK: Final = "127.0.0.1"
PATIENCE_S: Final = 20.0


class Reply(NamedTuple):
    """An answer over HTTP; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """A connection that sends what it is told, byte for byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Sends bytes as they are. Raises ConnectionError once the other side has closed."""
        self._writer.write(data)
        await self._writer.drain()

    async def sends_without_reading(self, data: bytes, pause_s: float) -> None:
        """Sends again and again. Raises ConnectionError once the other side has closed."""
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]
        async with asyncio.timeout(PATIENCE_S):
            while True:
                await self.send(data)
                await asyncio.sleep(pause_s)

    async def reply(self, within_s: float = PATIENCE_S) -> Reply:
        """The next answer. Raises IncompleteReadError or ConnectionError if there is none."""
        async with asyncio.timeout(within_s):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
            body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        return Reply(int(head[0].split()[1]), headers, body)

    async def is_closed(self, within_s: float = PATIENCE_S) -> bool:
        """Whether the other side closes the connection within the time. Leaves nothing to read."""
        try:
            async with asyncio.timeout(within_s):
                while await self._reader.read(65_536):
                    pass
        except TimeoutError:
            return False
        except ConnectionError:
            return True
        return True


class Server:
    """A server to send requests to."""

    def __init__(self, port: int) -> None:
        self.port = port

    @asynccontextmanager
    async def connected(self, received: int | None = None) -> AsyncIterator[Connection]:
        """A connection, closed when the block ends. `received`: bytes that it buffers and does not read."""
        sock = socket.socket()
        if received is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, received)
        sock.connect((LOOPBACK, self.port))
        reader, writer = await asyncio.open_connection(sock=sock)
        try:
            yield Connection(reader, writer)
        finally:
            writer.transport.abort()

    async def asks(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Reply:
        """The answer to one request on a connection of its own."""
        told = {"host": "in.acme.example", "content-length": str(len(body)), **(headers or {})}
        head = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        async with self.connected() as connection:
            whole = f"{method} {target} HTTP/1.1\r\n{head}\r\n"
            await connection.send(whole.encode("utf-8" if any(c > "\xff" for c in whole) else "latin-1") + body)
            return await connection.reply()

    async def posts(self, channel: Channel, body: bytes, headers: Mapping[str, str], query: str = "") -> Reply:
        """The answer to a webhook of a channel."""
        return await self.asks("POST", channel.webhook + (f"?{query}" if query else ""), headers, body)


@asynccontextmanager
async def receiving(broker: Broker, channels: Sequence[Channel], now: datetime = NOW) -> AsyncIterator[Server]:
    """A receiver of these channels whose clock stands still."""
    production = Production(
        load_settings(kafka_bootstrap=broker.bootstrap, topic_prefix=broker.topic_prefix).kafka(), "test"
    )
    await broker.create(*TOPICS)
    await production.ask()
    intake = WebhookIntake(channels, production, lambda: now)
    try:
        async with _served(WebhookServer(channels, intake).app) as server:
            yield server
    finally:
        await production.stop()


@asynccontextmanager
async def simulating(channels: Sequence[Channel], receiver: str = "http://127.0.0.1:9") -> AsyncIterator[Server]:
    """A simulator of these channels."""
    deliveries = Deliveries(receiver)
    simulator = Simulator(channels, deliveries)
    try:
        async with _served(SimulatorServer(simulator).app) as server:
            yield server
    finally:
        await simulator.stop()
        await deliveries.stop()


@asynccontextmanager
async def _served(app: object) -> AsyncIterator[Server]:
    sock = listening(LOOPBACK, 0)
    sock.listen()
    stop = asyncio.Event()
    serving = asyncio.create_task(serve_http(app, sock, stop))  # type: ignore[arg-type]
    try:
        yield Server(sock.getsockname()[1])
    finally:
        stop.set()
        await asyncio.wait_for(serving, PATIENCE_S)
