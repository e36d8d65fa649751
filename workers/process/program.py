"""A program beside the workers as a process of its own: logs, metrics, health, signals, exit codes."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import structlog
import uvloop

from workers.errors import ExitCode, SluiceError
from workers.process.forced_exit import ENDS_WITHIN_S, ends_within
from workers.process.health import Health
from workers.process.logs import configure_logging
from workers.process.loop_watch import watched
from workers.process.metrics_server import serve_health
from workers.process.signals import StopSignal, remembered
from workers.process.tasks import ended

Work = Callable[[asyncio.Event, Health], Coroutine[Any, Any, None]]
"""Runs until the event is set. Calls the health once it does its work, and tells it what else that requires."""

log = structlog.get_logger()


class ProgramSettings(Protocol):
    """What a process needs of the settings."""

    @property
    def log_format(self) -> str: ...
    @property
    def log_level(self) -> str: ...
    @property
    def metrics_host(self) -> str: ...
    @property
    def metrics_port(self) -> int | None: ...


def run_program(settings: ProgramSettings, work: Work) -> ExitCode:
    """Runs until a signal asks to stop. An error that an operator can repair is logged, and its exit code returned.

    Raises:
        SettingsError: the address of the metrics is not available.
    """
    configure_logging(settings.log_format, settings.log_level)
    health = Health()
    serve_health(health, settings.metrics_host, settings.metrics_port)
    with (
        remembered() as asked,
        ends_within(ENDS_WITHIN_S),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(until_asked(work, asked, health))


async def until_asked(work: Work, asked: StopSignal, health: Health) -> ExitCode:
    """Does the work until a signal asks to stop; see `run_program`."""
    stop = asked.event()
    leaving = asyncio.create_task(_leave(stop, health), name="leave")
    try:
        async with watched(health):
            await work(stop, health)
    except SluiceError as error:
        log.error(str(error), action=type(error).__name__.lower())
        return error.exit_code
    finally:
        health.leave()
        await ended(leaving)
    log.info("Stopped.", action="ended")
    return ExitCode.CLEAN


async def _leave(stop: asyncio.Event, health: Health) -> None:
    """Who asks a process that stops hears at once that it is not ready: a proxy then asks another one."""
    await stop.wait()
    health.leave()
