"""`sluice dev`: everything on one machine until it is told to stop."""

import asyncio
from pathlib import Path

from rich.console import Console

from schemas.topics import DEFAULT_PARTITIONS
from workers.dev import servers
from workers.errors import ExitCode
from workers.plans import ALL, plan_of
from workers.runtime import incarnation, supervisor
from workers.runtime import topics as kafka_topics
from workers.runtime.telemetry import configure_logging
from workers.settings import Settings, load_settings
from workers.store.migrate import migrate

console = Console(stderr=True)


def embedded(data_dir: Path, env_file: Path | None) -> ExitCode:
    """Servers of our own, then every worker."""
    with servers.embedded_servers(data_dir, fetch_max_wait_ms=20) as settings:
        return asyncio.run(_embedded(settings, env_file))


def external(_data_dir: Path, env_file: Path | None) -> ExitCode:
    """Every worker against the configured servers, brought up to date first."""
    return asyncio.run(_external(load_settings(), env_file))


async def _embedded(settings: Settings, env_file: Path | None) -> ExitCode:
    await servers.prepare(settings)
    await incarnation.begin(settings)
    return await _until_stopped(settings, env_file)


async def _external(settings: Settings, env_file: Path | None) -> ExitCode:
    await migrate(settings.required_database_url())
    await kafka_topics.ensure(settings.kafka(), DEFAULT_PARTITIONS, 1)
    return await _until_stopped(settings, env_file)


async def _until_stopped(settings: Settings, env_file: Path | None) -> ExitCode:
    configure_logging(settings.log_format, settings.log_level)
    write = servers.env_file_writer(env_file.resolve(), settings) if env_file else None

    def ready() -> None:
        console.print("Every worker is consuming. Stop with Ctrl-C.")
        console.print(f"  SLUICE_DATABASE_URL={settings.required_database_url()}", soft_wrap=True, highlight=False)
        console.print(f"  SLUICE_KAFKA_BOOTSTRAP={settings.kafka().bootstrap}", soft_wrap=True, highlight=False)
        if write is not None:
            write()

    return await supervisor.run(settings, plan_of([ALL]), ready=ready)
