"""The simulator as a server of HTTP and, where a channel is of SMTP, of mail."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

import structlog

from connectors.provider import Answer, Channel
from connectors.simulator.deliveries import Deliveries
from connectors.simulator.played import ApiRequest
from connectors.simulator.playing import NoAnswer, Simulator
from connectors.simulator.server import SimulatorServer
from connectors.simulator.smtp_server import smtp_server
from workers.process.http_server import accept_connections, serve_http

log = structlog.get_logger()


async def simulate(
    channels: Sequence[Channel],
    sock: socket.socket,
    receiver: str,
    stop: asyncio.Event,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Plays the providers of these channels until stopped. `receiver`: where webhooks go, http://host:port.

    Raises:
        OSError: a port of a mail server is not available.
    """
    async with AsyncExitStack() as stack:
        deliveries = Deliveries(receiver)
        stack.push_async_callback(deliveries.stop)
        simulator = Simulator(channels, deliveries)
        stack.push_async_callback(simulator.stop)
        mails = Mails(simulator)
        for host, port in mails.addresses:
            server = await smtp_server(host, port, mails.take)
            stack.callback(server.close)
        accept_connections(sock)  # whoever hears that we are ready may connect
        host, port = sock.getsockname()[:2]
        log.info(f"The phones are at http://{host}:{port}/.", action="ready", receiver=receiver)
        ready()
        await serve_http(SimulatorServer(simulator, stop).app, sock, stop)


class Mails:
    """The mail servers of the channels of SMTP, which are told apart by their senders."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._channels = {
            channel.keys.own.address.lower(): channel
            for channel in simulator.channels.values()
            if channel.provider.name == "smtp"
        }

    @property
    def addresses(self) -> set[tuple[str, int]]:
        """Where to listen: hosts and ports."""
        return {(channel.keys.smtp_host, channel.keys.smtp_port) for channel in self._channels.values()}

    async def take(self, request: ApiRequest) -> Answer | None:
        """The reply to a mail; None if the connection breaks."""
        channel = self._channels.get(request.headers["x-envelope-from"].strip("<>").lower())
        if channel is None:
            return Answer(550, {}, b"5.7.1 Sender address rejected")
        answer = self._simulator.call(channel, request)
        if answer is NoAnswer.TIMEOUT:
            await asyncio.sleep(600)
        return answer if isinstance(answer, Answer) else None
