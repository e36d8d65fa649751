"""The console as a process: serves until a signal asks to stop, with the exit codes of a worker."""

import asyncio
import socket
from contextlib import AsyncExitStack
from typing import Final

import structlog

from console.access import Access
from console.app import application
from console.asking import Asking
from console.events.happenings import TOPICS
from console.events.streams import Events
from console.logins import Logins
from console.parts import Parts
from console.passwords import Passwords
from console.proxy import TrustedProxy
from console.rates import Rates
from console.readiness import check
from schemas.building import COMMANDS, OUTBOUND
from schemas.kafka_rights import rights_of
from workers.app.settings import Settings
from workers.errors import ExitCode
from workers.process import postgres, production
from workers.process.health import Health
from workers.process.http_server import accept_connections, listening, serve_http
from workers.process.liveness import LivenessProbe, ServerLiveness
from workers.process.postgres import Postgres
from workers.process.production import Production
from workers.process.program import run_program
from workers.process.tasks import ended, unless_failed, unless_stopped

# Plans for any workspace can be a hundred times slower for a large one: docs/reading.md.
_READING: Final = {"plan_cache_mode": "force_custom_plan", "statement_timeout": "10s"}

log = structlog.get_logger()


def serving(settings: Settings, host: str, port: int) -> ExitCode:
    """The API and the console, until a signal asks to stop.

    Raises:
        SettingsError: the address is not available.
    """
    sock = listening(host, port)
    return run_program(settings, lambda stop, health: serve(settings, sock, stop, health))


def console_postgres(settings: Settings) -> Postgres:
    """The database as the console reads it."""
    return Postgres(settings.required_database_url(), "console", "sluice_console", _READING)


async def serve(settings: Settings, sock: socket.socket, stop: asyncio.Event, health: Health | None = None) -> None:
    """Serves until stopped; then finishes the requests that it has accepted. Calls `health` once it answers.

    Raises:
        Unreachable: a server did not answer within the bound.
        SetupError: topics, rights or migrations are missing.
    """
    async with AsyncExitStack() as stack:
        database = console_postgres(settings)
        stack.push_async_callback(database.stop)
        producer = Production(settings.kafka(), "console")
        stack.push_async_callback(producer.stop)
        passwords = Passwords()
        stack.callback(passwords.stop)
        bound_s = settings.unreachable_after_s

        async def prepare() -> None:
            kafka = LivenessProbe("Kafka", production.AWAY, bound_s)
            await kafka.answer(lambda: _checked(producer, settings))
            await LivenessProbe("PostgreSQL", postgres.AWAY, bound_s).answer(lambda: check(database))

        if not await unless_stopped(prepare(), stop):
            return
        liveness = [
            ServerLiveness("Kafka", producer, production.AWAY, bound_s),
            ServerLiveness("PostgreSQL", database, postgres.AWAY, bound_s),
        ]
        health = health or Health()
        health.require(*(one.obstacles for one in liveness))
        watching = [asyncio.create_task(one.run(), name=one.name) for one in liveness]
        events = Events(settings.kafka(), database)
        telling = asyncio.create_task(events.run(), name="events")
        closing = asyncio.create_task(_closed(events, stop), name="end of streams")
        parts = parts_of(settings, database, passwords, producer, events)
        stack.push_async_callback(parts.asking.stop)
        cleaning = asyncio.create_task(parts.access.keep_clean(), name="expired sessions")
        stack.push_async_callback(ended, closing, telling, cleaning)
        app = application(parts)
        accept_connections(sock)  # whoever hears that we are ready may connect
        host, port = sock.getsockname()[:2]
        log.info(f"The console is at http://{host}:{port}/.", action="ready")
        health()
        try:
            serving = serve_http(app, sock, stop)
            for other in (*watching, telling):
                serving = unless_failed(serving, other)
            await serving
        finally:
            for server in liveness:
                server.stop()
            await ended(*watching)


async def _checked(producer: Production, settings: Settings) -> None:
    await producer.check_rights("console", rights_of("console", settings.topic_prefix, settings.group_prefix))
    await producer.check_topics((COMMANDS, OUTBOUND, *TOPICS))


async def _closed(events: Events, stop: asyncio.Event) -> None:
    """A stream has no end by itself: the server would wait for it."""
    await stop.wait()
    events.close()


def parts_of(
    settings: Settings, database: Postgres, passwords: Passwords, producer: Production, events: Events
) -> Parts:
    """What requests work with, on these connections."""
    access = Access(database)
    return Parts(
        postgres=database,
        access=access,
        logins=Logins(database, access, passwords),
        proxy=TrustedProxy(settings.console_proxy_header, settings.proxy_networks()),
        rates=Rates(),
        production=producer,
        asking=Asking(database, producer),
        hash_keys=settings.hash_keys(),
        events=events,
    )
