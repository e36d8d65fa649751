"""Receiver, sender and simulator as processes of their own: logs, metrics, health, signals, exit codes."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import structlog
import uvloop

from connectors.http_server import listening
from connectors.kafka import Produced
from connectors.provider import Channel
from connectors.receiver import process as receiver
from connectors.sender import process as sender
from connectors.sender.attempts import EARLIER_LIFE_S, Probe, no_probe
from connectors.simulator import process as simulator
from workers.app.settings import Settings
from workers.errors import ExitCode, SluiceError
from workers.process.forced_exit import ENDS_WITHIN_S, ends_within
from workers.process.logs import configure_logging
from workers.process.loop_watch import watched
from workers.process.metrics_server import Health, serve_health
from workers.process.signals import StopSignal, remembered
from workers.process.tasks import ended

Work = Callable[[asyncio.Event, Callable[[], None]], Coroutine[Any, Any, None]]
"""Runs until the event is set, and calls the function once it does its work."""

log = structlog.get_logger()


def receiving(
    settings: Settings, channels: Sequence[Channel], host: str, port: int, announced: Sequence[Produced] = ()
) -> ExitCode:
    """A receiver, until a signal asks to stop. `announced`: see `serve`.

    Raises:
        SettingsError: the address is not available.
    """
    sock = listening(host, port)
    return _process(settings, lambda stop, ready: receiver.serve(settings, channels, sock, stop, ready, announced))


def sending(
    settings: Settings,
    channels: Sequence[Channel],
    group: str,
    *,
    probe: Probe = no_probe,
    earlier_life_s: float = EARLIER_LIFE_S,
) -> ExitCode:
    """A sender in a consumer group, until a signal asks to stop. `probe`, `earlier_life_s`: see `Attempts`."""

    def work(stop: asyncio.Event, ready: Callable[[], None]) -> Coroutine[Any, Any, None]:
        return sender.send(settings, channels, group, stop, ready, probe=probe, earlier_life_s=earlier_life_s)

    return _process(settings, work)


def simulating(settings: Settings, channels: Sequence[Channel], host: str, port: int, receiver_url: str) -> ExitCode:
    """The simulator, until a signal asks to stop.

    Raises:
        SettingsError: the address is not available.
    """
    sock = listening(host, port)
    return _process(settings, lambda stop, ready: simulator.simulate(channels, sock, receiver_url, stop, ready))


def _process(settings: Settings, work: Work) -> ExitCode:
    configure_logging(settings.log_format, settings.log_level)
    health = serve_health(settings.metrics_host, settings.metrics_port)
    with (
        remembered() as asked,
        ends_within(ENDS_WITHIN_S),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(_until_asked(work, asked, health))


async def _until_asked(work: Work, asked: StopSignal, health: Health) -> ExitCode:
    stop = asked.event()
    leaving = asyncio.create_task(_leave(stop, health), name="leave")
    try:
        async with watched():
            await work(stop, lambda: health.set(ready=not stop.is_set()))
    except SluiceError as error:
        log.error(str(error), action=type(error).__name__.lower())
        return error.exit_code
    finally:
        health.set(ready=False)
        await ended(leaving)
    log.info("Stopped.", action="ended")
    return ExitCode.CLEAN


async def _leave(stop: asyncio.Event, health: Health) -> None:
    """Who asks a process that stops hears at once that it is not ready: a proxy then asks another one."""
    await stop.wait()
    health.set(ready=False)
