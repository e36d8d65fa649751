"""Runs the feed of a workflow engine as a process, with the exit codes of a worker."""

import asyncio

import structlog

from workers.app.settings import PREFIX, Settings
from workers.engines.control import Engine
from workers.engines.feeding import EngineFeed
from workers.errors import ExitCode, SettingsError
from workers.process.health import Health
from workers.process.logs import configure_logging
from workers.process.loop_watch import watched
from workers.process.metrics.of_workers import TOLD, TOLD_OUTCOMES
from workers.process.metrics_server import serve_health
from workers.process.signals import StopSignal, remembered

log = structlog.get_logger()


def run(settings: Settings, engine: Engine, name: str) -> ExitCode:
    """Feeds the engine until a signal asks to stop. `name` ends the name of the consumer group.

    Raises:
        SettingsError, SetupError, Unreachable: see `EngineFeed.run`.
    """
    cluster = settings.kafka()
    feed = EngineFeed(
        engine, cluster, f"{settings.group_prefix}-engine-{name}", settings.limits(), settings.unreachable_after_s
    )
    configure_logging(settings.log_format, settings.log_level)
    for outcome in TOLD_OUTCOMES:
        TOLD.labels(outcome)  # from zero, so that an alert fires the first time
    health = Health()
    serve_health(health, settings.metrics_host, settings.metrics_port)
    with remembered() as asked:
        asyncio.run(_until_asked(feed, asked, health))
    return ExitCode.CLEAN


async def _until_asked(feed: EngineFeed, asked: StopSignal, health: Health) -> None:
    saying = asyncio.create_task(_say_when_caught_up(feed, health))
    try:
        async with watched(health):
            await feed.run(asked.event())
    finally:
        saying.cancel()


async def _say_when_caught_up(feed: EngineFeed, health: Health) -> None:
    await feed.caught_up.wait()
    health()
    log.info("The engine was told everything up to now.", action="ready")


def required_secret(settings: Settings) -> str:
    """The secret of webhooks.

    Raises:
        SettingsError: it is not set.
    """
    if settings.webhook_secret is None:
        raise SettingsError(
            f'{PREFIX}WEBHOOK_SECRET is not set (make one: echo "whsec_$(openssl rand -base64 32)"; '
            "the engine needs it to check what it is told)"
        )
    return settings.webhook_secret.get_secret_value()


def required_dbos_url(settings: Settings) -> str:
    """The libpq URL of DBOS's system database.

    Raises:
        SettingsError: it is not set.
    """
    if settings.dbos_database_url is None:
        raise SettingsError(f"{PREFIX}DBOS_DATABASE_URL is not set (postgresql://user:password@host:5432/name)")
    return settings.dbos_database_url.get_secret_value()
