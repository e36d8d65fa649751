"""What the commands that change something do."""

import asyncio
from collections.abc import Sequence
from typing import Final

import asyncpg

from workers.errors import ExitCode, SettingsError, Unreachable
from workers.plans import ALL, WORKERS, plan_of
from workers.runtime import supervisor
from workers.runtime import topics as kafka_topics
from workers.runtime.telemetry import configure_logging, serve_metrics
from workers.runtime.topics import Checked
from workers.settings import Settings, load_settings
from workers.store import migrate

NAMES: Final = (*WORKERS, ALL)


def work(names: Sequence[str]) -> ExitCode:
    """Run workers until they are told to stop; how they ended.

    Raises:
        SettingsError: a name is unknown, or a setting is wrong.
    """
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        raise SettingsError(f"no worker is called {unknown[0]!r}; expected any of {', '.join(NAMES)}")
    settings = load_settings()
    settings.required_database_url()
    configure_logging(settings.log_format, settings.log_level)
    if settings.metrics_port is not None:
        serve_metrics(settings.metrics_host, settings.metrics_port)
    return asyncio.run(supervisor.run(settings, plan_of(names)))


async def migrated(settings: Settings) -> list[str]:
    """The names of the migrations that were applied.

    Raises:
        SetupError: a migration cannot be applied.
        Unreachable: PostgreSQL does not answer.
    """
    try:
        return await migrate.migrate(settings.required_database_url())
    except (OSError, asyncpg.PostgresConnectionError) as error:
        raise Unreachable(f"PostgreSQL does not answer at SLUICE_DATABASE_URL: {error}") from error


async def topics(settings: Settings, partitions: int, replication: int) -> Checked:
    """Create and check the topics.

    Raises:
        SetupError: Kafka refuses.
        Unreachable: Kafka does not answer.
    """
    return await kafka_topics.ensure(settings.kafka(), partitions, replication)
