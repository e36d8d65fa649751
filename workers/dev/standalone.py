"""`sluice dev`: everything on one machine until it is told to stop."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from workers.app import broker_restart, supervisor, write_commands
from workers.app.composition import ALL, plan_of
from workers.app.memory import tune_memory
from workers.app.settings import Settings, load_settings
from workers.dev import servers
from workers.dev.connectors import Connectors, Wanted
from workers.dev.console import DevConsole
from workers.dev.envfile import env_file
from workers.errors import ExitCode, SettingsError
from workers.process.logs import configure_logging
from workers.process.signals import StopSignal, remembered
from workers.process.tasks import unless_stopped

# The embedded broker answers a fetch only after the whole wait, so this is the delay of a record.
_FETCH_WAIT_MS: Final = 50

console = Console()


def embedded(
    data_dir: Path,
    addresses: Path | None,
    kafka_port: int | None,
    postgres_port: int | None,
    wanted: Wanted,
    console_port: int | None,
) -> ExitCode:
    """Runs embedded servers, then every worker, then the console and connectors."""
    # A signal must not end this process while PostgreSQL runs: the server would keep running.
    with (
        remembered() as asked,
        env_file(addresses) as write,
        Connectors(wanted) as connectors,
        DevConsole(console_port) as pages,
        servers.open_servers(data_dir, kafka_port, postgres_port, fetch_max_wait_ms=_FETCH_WAIT_MS) as settings,
    ):
        return asyncio.run(_until_stopped(settings, _begin(settings), write, asked, connectors, pages))


def external(addresses: Path | None, wanted: Wanted, console_port: int | None) -> ExitCode:
    """Runs every worker against the configured servers, after migrating the schema, then the console and connectors."""
    settings = load_settings()
    settings.required_database_url()
    settings.kafka()
    if addresses is not None and addresses.resolve() == Path(".env").resolve():
        raise SettingsError("--env-file must not be the .env that the settings come from")
    with (
        remembered() as asked,
        env_file(addresses) as write,
        Connectors(wanted) as connectors,
        DevConsole(console_port) as pages,
    ):
        return asyncio.run(_until_stopped(settings, _bring_up_to_date(settings), write, asked, connectors, pages))


async def _begin(settings: Settings) -> None:
    await servers.prepare(settings)
    await broker_restart.begin(settings)


async def _bring_up_to_date(settings: Settings) -> None:
    await write_commands.migrated(settings)
    await write_commands.ensure_topics(settings)


async def _until_stopped(
    settings: Settings,
    preparing: Coroutine[Any, Any, None],
    write: Callable[[Settings], None],
    asked: StopSignal,
    connectors: Connectors,
    pages: DevConsole,
) -> ExitCode:
    stop = asked.event()
    configure_logging(settings.log_format, settings.log_level)
    tune_memory()
    if not await unless_stopped(preparing, stop):
        return ExitCode.CLEAN

    def ready() -> None:
        connectors.begin(settings, stop)
        write(settings)
        _announce(settings, connectors.lines)
        pages.begin(settings, stop, lambda link: _say(f"  console:  {link}"))

    code = await supervisor.run(settings, plan_of([ALL]), stop, ready=ready)
    stop.set()
    await connectors.ended()
    await pages.ended()
    return code


def _announce(settings: Settings, more: Sequence[str]) -> None:
    lines = (
        "Every worker is consuming. Stop with Ctrl-C.",
        f"  SLUICE_DATABASE_URL={settings.required_database_url()}",
        f"  SLUICE_KAFKA_BOOTSTRAP={settings.kafka().bootstrap}",
        *more,
    )
    for line in lines:
        _say(line)


def _say(line: str) -> None:
    console.print(line, soft_wrap=True, highlight=False, markup=False)
