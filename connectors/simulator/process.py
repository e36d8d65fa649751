"""The simulator as a server."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

import structlog

from connectors.http_server import serve_http
from connectors.provider import Channel
from connectors.simulator.deliveries import Deliveries
from connectors.simulator.server import Simulator

log = structlog.get_logger()


async def simulate(
    channels: Sequence[Channel],
    sock: socket.socket,
    receiver: str,
    stop: asyncio.Event,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Plays the providers of these channels until stopped. `receiver`: where webhooks go, http://host:port."""
    async with AsyncExitStack() as stack:
        deliveries = Deliveries(receiver)
        stack.push_async_callback(deliveries.stop)
        simulator = Simulator(channels, deliveries)
        stack.push_async_callback(simulator.stop)
        host, port = sock.getsockname()[:2]
        log.info(f"The phones are at http://{host}:{port}/.", action="ready", receiver=receiver)
        ready()
        await serve_http(simulator.app, sock, stop)
