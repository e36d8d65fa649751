"""`sluice dev`: everything on one machine until it is told to stop."""

import asyncio
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from schemas.topics import DEFAULT_PARTITIONS
from workers import operating
from workers.dev import servers
from workers.dev.servers import EnvFile
from workers.errors import ExitCode, SettingsError
from workers.plans import ALL, plan_of
from workers.runtime import incarnation, supervisor
from workers.runtime.telemetry import configure_logging
from workers.runtime.worker import tune_garbage_collection
from workers.settings import Settings, load_settings

console = Console()
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


def embedded(data_dir: Path, env_file: Path | None) -> ExitCode:
    """Servers of our own, then every worker."""
    file = _cleared(env_file)
    # A signal may not end us between the start of PostgreSQL and its end: it would stay behind.
    with _remembered() as asked, servers.embedded_servers(data_dir, fetch_max_wait_ms=20) as settings:
        if asked:
            return ExitCode.CLEAN
        try:
            return asyncio.run(_until_stopped(settings, _prepare(settings), file))
        finally:
            _remember(asked)


def external(_data_dir: Path, env_file: Path | None) -> ExitCode:
    """Every worker against the configured servers, brought up to date first."""
    settings = load_settings()
    settings.required_database_url()
    settings.kafka()
    if env_file is not None and env_file.resolve() == Path(".env").resolve():
        raise SettingsError("--env-file must not be the .env that the settings come from")
    return asyncio.run(_until_stopped(settings, _bring_up_to_date(settings), _cleared(env_file)))


def _cleared(path: Path | None) -> EnvFile | None:
    if path is None:
        return None
    file = EnvFile(path.resolve())
    file.clear()
    return file


async def _prepare(settings: Settings) -> None:
    await servers.prepare(settings)
    await incarnation.begin(settings)


async def _bring_up_to_date(settings: Settings) -> None:
    await operating.migrated(settings)
    await operating.topics(settings, DEFAULT_PARTITIONS, 1)


async def _until_stopped(settings: Settings, preparing: Coroutine[Any, Any, None], file: EnvFile | None) -> ExitCode:
    configure_logging(settings.log_format, settings.log_level)
    tune_garbage_collection()
    stop = asyncio.Event()
    for number in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if not await _done(preparing, stop):
        return ExitCode.CLEAN

    def ready() -> None:
        _announce(settings)
        if file is not None:
            file.write(settings)

    return await supervisor.run(settings, plan_of([ALL]), ready=ready, stop=stop)


async def _done(work: Coroutine[Any, Any, None], stop: asyncio.Event) -> bool:
    """Whether `work` was done before somebody asked to stop."""
    working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            return False
        working.result()
        return True
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


@contextmanager
def _remembered() -> Iterator[list[int]]:
    """Signals that came, while nobody else handles them."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    asked: list[int] = []
    _remember(asked)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _remember(asked: list[int]) -> None:
    for number in _SIGNALS:
        signal.signal(number, lambda came, _frame: asked.append(came))
