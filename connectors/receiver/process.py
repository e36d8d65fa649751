"""The receiver as a process: serves webhooks and mails until a signal asks to stop, with the exit codes of a worker."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from connectors.provider import Channel, Webhook
from connectors.receiver import telemetry
from connectors.receiver.http import WebhookServer
from connectors.receiver.lmtp import serve_lmtp
from connectors.receiver.taking import WebhookIntake, WebhookResult
from schemas.building import INBOUND, RECEIPTS
from schemas.kafka_rights import rights_of
from schemas.topics import UNMAPPED
from workers.app.settings import Settings
from workers.errors import SetupError
from workers.process.health import Health
from workers.process.http_server import accept_connections, serve_http
from workers.process.liveness import LivenessProbe, ServerLiveness
from workers.process.production import AWAY, Produced, Production
from workers.process.tasks import ended, unless_failed, unless_stopped

TOPICS: Final = (INBOUND, RECEIPTS, UNMAPPED.name)

_ANNOUNCED_WITHIN_S: Final = 5.0

log = structlog.get_logger()


async def serve(
    settings: Settings,
    channels: Sequence[Channel],
    sock: socket.socket,
    stop: asyncio.Event,
    health: Health | None = None,
    announced: Sequence[Produced] = (),
) -> None:
    """Serves until stopped; then finishes what it has accepted. Calls `health` once it answers. `announced`: records to
    produce first, if Kafka lets us.

    Raises:
        Unreachable: Kafka did not answer within the bound.
        SetupError: topics or rights are missing.
    """
    telemetry.from_zero({channel.provider.name for channel in channels})
    production = Production(settings.kafka(), "receiver")
    try:
        probe = LivenessProbe("Kafka", AWAY, settings.unreachable_after_s)
        if not await unless_stopped(probe.answer(lambda: _check(production, settings)), stop):
            return
        await _announce(production, announced)
        liveness = ServerLiveness("Kafka", production, AWAY, settings.unreachable_after_s)
        health = health or Health()
        health.require(liveness.obstacles)
        watching = asyncio.create_task(liveness.run(), name=liveness.name)
        try:
            await unless_failed(_serve(channels, production, sock, stop, health), watching)
        finally:
            liveness.stop()
            await asyncio.wait({watching})
    finally:
        await production.stop()


async def _check(production: Production, settings: Settings) -> None:
    await production.check_rights("receiver", rights_of("receiver", settings.topic_prefix, settings.group_prefix))
    await production.check_topics(TOPICS)


async def _announce(production: Production, announced: Sequence[Produced]) -> None:
    try:
        async with asyncio.timeout(_ANNOUNCED_WITHIN_S):
            await production.produce(announced)
    except (*AWAY, SetupError) as error:
        log.warning(
            "The names and regions of the channels file could not be told; a receiver that starts again tries again.",
            action="not_announced",
            error=str(error) or type(error).__name__,
        )


async def _serve(
    channels: Sequence[Channel],
    production: Production,
    sock: socket.socket,
    stop: asyncio.Event,
    ready: Callable[[], None],
) -> None:
    intake = WebhookIntake(channels, production)

    async def take(channel: Channel, mail: Webhook) -> bool:
        return await intake.take(channel, mail) is not WebhookResult.UNAVAILABLE

    accept_connections(sock)  # whoever hears that we are ready may connect
    host, port = sock.getsockname()[:2]
    log.info(
        f"Receiving webhooks at http://{host}:{port}/webhooks/….",
        action="ready",
        channels=[channel.place for channel in channels],
    )
    http = asyncio.create_task(serve_http(WebhookServer(channels, intake).app, sock, stop), name="http")
    mails = asyncio.create_task(serve_lmtp(channels, take, stop, ready), name="lmtp")
    try:
        done, _ = await asyncio.wait({http, mails}, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        await ended(http, mails)
