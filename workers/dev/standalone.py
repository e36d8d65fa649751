"""`sluice dev`: everything on one machine until it is told to stop."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from schemas.topics import DEFAULT_PARTITIONS
from workers import operating
from workers.dev import servers
from workers.dev.envfile import env_file
from workers.errors import ExitCode, SettingsError
from workers.plans import ALL, plan_of
from workers.runtime import incarnation, supervisor
from workers.runtime.signals import Asked, remembered
from workers.runtime.telemetry import configure_logging
from workers.runtime.worker import tune_garbage_collection
from workers.settings import Settings, load_settings

# The embedded broker answers a fetch only after the whole wait: a record is this late, and so often it is asked.
_FETCH_WAIT_MS: Final = 50

console = Console()


def embedded(data_dir: Path, addresses: Path | None) -> ExitCode:
    """Servers of our own, then every worker."""
    # A signal may not end us between the start of PostgreSQL and its end: it would stay behind.
    with (
        remembered() as asked,
        env_file(addresses) as write,
        servers.embedded_servers(data_dir, fetch_max_wait_ms=_FETCH_WAIT_MS) as settings,
    ):
        return asyncio.run(_until_stopped(settings, _begin(settings), write, asked))


def external(addresses: Path | None) -> ExitCode:
    """Every worker against the configured servers, brought up to date first."""
    settings = load_settings()
    settings.required_database_url()
    settings.kafka()
    if addresses is not None and addresses.resolve() == Path(".env").resolve():
        raise SettingsError("--env-file must not be the .env that the settings come from")
    with remembered() as asked, env_file(addresses) as write:
        return asyncio.run(_until_stopped(settings, _bring_up_to_date(settings), write, asked))


async def _begin(settings: Settings) -> None:
    await servers.prepare(settings)
    await incarnation.begin(settings)


async def _bring_up_to_date(settings: Settings) -> None:
    await operating.migrated(settings)
    await operating.topics(settings, DEFAULT_PARTITIONS, 1)


async def _until_stopped(
    settings: Settings,
    preparing: Coroutine[Any, Any, None],
    write: Callable[[Settings], None],
    asked: Asked,
) -> ExitCode:
    stop = asked.event()
    configure_logging(settings.log_format, settings.log_level)
    tune_garbage_collection()
    if not await _done(preparing, stop):
        return ExitCode.CLEAN

    def ready() -> None:
        write(settings)
        _announce(settings)

    return await supervisor.run(settings, plan_of([ALL]), stop, ready=ready)


async def _done(work: Coroutine[Any, Any, None], stop: asyncio.Event) -> bool:
    """Whether `work` was done before somebody asked to stop."""
    working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
        return not stop.is_set()
    finally:
        working.cancel()
        stopping.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)


def _announce(settings: Settings) -> None:
    lines = (
        "Every worker is consuming. Stop with Ctrl-C.",
        f"  SLUICE_DATABASE_URL={settings.required_database_url()}",
        f"  SLUICE_KAFKA_BOOTSTRAP={settings.kafka().bootstrap}",
    )
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False, markup=False)
