"""TCP ports on this machine's loopback for the embedded servers, and relays between them."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final

from workers.errors import SettingsError

LOOPBACK: Final = "127.0.0.1"
_PORTION: Final = 64 * 1024
_CLOSE_S: Final = 1.0

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter
Pump = Callable[[Reader, Writer], Awaitable[None]]
Connect = Callable[[], Awaitable[tuple[Reader, Writer]]]


@contextmanager
def listening(wanted: int | None, default: int, option: str) -> Iterator[socket.socket]:
    """A socket that listens at `wanted`; without it at `default` if that port is free, else at any free port.

    Raises:
        SettingsError: `wanted` is in use or not allowed; names the option.
    """
    with _bound(wanted, default, option) as bound:
        bound.listen()
        yield bound


def _bound(wanted: int | None, default: int, option: str) -> socket.socket:
    for port in (default, 0) if wanted is None else (wanted,):
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((LOOPBACK, port))
        except OSError as error:
            made.close()
            problem = error.strerror
        else:
            return made
    raise SettingsError(f"{option} {wanted} cannot be used on {LOOPBACK}: {problem}. Name another port")


def port_of(bound: socket.socket) -> int:
    """The port of the socket."""
    port: int = bound.getsockname()[1]
    return port


async def straight(reader: Reader, writer: Writer) -> None:
    """Passes data on unchanged."""
    while portion := await reader.read(_PORTION):
        writer.write(portion)
        await writer.drain()


@contextmanager
def relayed(bound: socket.socket, connect: Connect, inward: Pump = straight) -> Iterator[None]:
    """Connects each client to what `connect` returns, in a thread, until the context ends. `inward` passes on what
    clients send.
    """
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    running = threading.Thread(
        target=loop.run_until_complete, args=(_serve(bound, connect, inward, stop),), daemon=True
    )
    running.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        running.join()
        loop.close()


async def _serve(bound: socket.socket, connect: Connect, inward: Pump, stop: asyncio.Event) -> None:
    connections: set[asyncio.Task[None]] = set()

    async def come(reader: Reader, writer: Writer) -> None:
        connections.add(task := asyncio.ensure_future(_relay(reader, writer, connect, inward)))
        task.add_done_callback(connections.discard)

    server = await asyncio.start_server(come, sock=bound)
    await stop.wait()
    server.close()
    for task in connections:
        task.cancel()
    await asyncio.gather(*connections, return_exceptions=True)


async def _relay(reader: Reader, writer: Writer, connect: Connect, inward: Pump) -> None:
    """Runs until one of the two sides closes."""
    async with _closing(writer):
        inner_reader, inner_writer = await connect()
        async with _closing(inner_writer):
            both = [
                asyncio.ensure_future(inward(reader, inner_writer)),
                asyncio.ensure_future(straight(inner_reader, writer)),
            ]
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in both:
                    pump.cancel()
                await asyncio.gather(*both, return_exceptions=True)


@asynccontextmanager
async def _closing(writer: Writer) -> AsyncIterator[None]:
    """Sends the remaining data at the end, if the other side accepts it. A closed connection is no error."""
    try:
        with suppress(OSError):
            yield
    finally:
        writer.close()
        with suppress(OSError, TimeoutError):
            await asyncio.wait_for(writer.wait_closed(), _CLOSE_S)
        writer.transport.abort()
