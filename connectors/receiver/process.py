"""The receiver as a process: serves webhooks and mails until a signal asks to stop, with the exit codes of a worker."""

import asyncio
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import structlog
import uvicorn

from connectors.kafka import AWAY, Production
from connectors.provider import Channel
from connectors.receiver.bounded_heads import BoundedHeads
from connectors.receiver.http import WebhookServer
from connectors.receiver.taking import WebhookIntake
from schemas.building import INBOUND, RECEIPTS
from schemas.topics import UNMAPPED
from workers.app.settings import Settings
from workers.errors import SettingsError
from workers.process.liveness import LivenessProbe, ServerLiveness
from workers.process.tasks import ended, unless_failed, unless_stopped

TOPICS: Final = (INBOUND, RECEIPTS, UNMAPPED.name)
_STOP_S: Final = 20
_CONNECTIONS: Final = 2_000

log = structlog.get_logger()


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The process handles its signals itself."""
        yield


def listening(host: str, port: int) -> socket.socket:
    """A socket for the server; port 0 takes a free one.

    Raises:
        SettingsError: the address is not available.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise SettingsError(f"--host and --port: {host}:{port} is not available: {error.strerror or error}") from error
    return sock


async def serve(
    settings: Settings,
    channels: Sequence[Channel],
    sock: socket.socket,
    stop: asyncio.Event,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Serves until stopped; then finishes what it has accepted. Calls `ready` once it answers.

    Raises:
        Unreachable: Kafka did not answer within the bound.
        SetupError: topics or rights are missing.
    """
    production = Production(settings, "receiver")
    try:
        probe = LivenessProbe("Kafka", AWAY, settings.unreachable_after_s)
        if not await unless_stopped(probe.answer(lambda: production.check_topics(TOPICS)), stop):
            return
        liveness = ServerLiveness("Kafka", production, AWAY, settings.unreachable_after_s)
        watching = asyncio.create_task(liveness.run(), name=liveness.name)
        try:
            await unless_failed(_serve(channels, production, sock, stop, ready), watching)
        finally:
            liveness.stop()
            await asyncio.wait({watching})
    finally:
        await production.stop()


async def _serve(
    channels: Sequence[Channel],
    production: Production,
    sock: socket.socket,
    stop: asyncio.Event,
    ready: Callable[[], None],
) -> None:
    app = WebhookServer(channels, WebhookIntake(channels, production)).app
    server = _Server(
        uvicorn.Config(
            app,
            http=BoundedHeads,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=_CONNECTIONS,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=_STOP_S,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[sock]), name="http")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    host, port = sock.getsockname()[:2]
    log.info(
        f"Receiving webhooks at http://{host}:{port}/webhooks/….",
        action="ready",
        channels=[channel.place for channel in channels],
    )
    ready()
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
    finally:
        await ended(serving, stopping)
