"""The sender as a process: a member of a group of senders, until a signal asks to stop."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from hashlib import sha256
from typing import Any, Final
from uuid import uuid4

import structlog

from connectors.provider import Answer, Call, Channel, Mail
from connectors.sender import smtp, telemetry
from connectors.sender.attempts import EARLIER_LIFE_S, Attempts, Probe, no_probe
from connectors.sender.database import Database
from connectors.sender.dispatches import TOPIC, Dispatches
from connectors.sender.http import HttpTransport
from schemas.building import RECEIPTS
from schemas.kafka_rights import Resource, group_right, rights_of
from workers.app.settings import Settings
from workers.errors import SetupError
from workers.process import postgres
from workers.process import production as kafka
from workers.process.health import Health
from workers.process.liveness import LivenessProbe, ServerLiveness
from workers.process.production import Production
from workers.process.tasks import ended, unless_failed, unless_stopped

_RENEW_S: Final = 20.0
_LEAVE_S: Final = 1.0

log = structlog.get_logger()


class _Transports:
    """The way to each provider: HTTP, or SMTP for mails."""

    def __init__(self, http: HttpTransport) -> None:
        self._http = http

    async def deliver(self, channel: Channel, call: Call | Mail) -> Answer:
        """See the protocol."""
        if isinstance(call, Mail):
            return await smtp.deliver(channel, call, channel.timeout_s)
        return await self._http.deliver(channel, call)


class SenderMembership:
    """The membership of this process in its group: all members serve the same channels."""

    def __init__(self, claims: Database, group: str, channels: Sequence[Channel]) -> None:
        self._claims = claims
        self._group = group
        self._member = uuid4()
        self._digest = sha256("\n".join(sorted(channel.place for channel in channels)).encode()).digest()

    async def join(self) -> None:
        """Joins, or stays for another minute.

        Raises:
            SetupError: another member serves other channels.
            AWAY: the database does not answer.
        """
        if not await self._claims.join(self._group, self._member, self._digest):
            raise SetupError(
                f"another sender of the group {self._group} serves other channels: all members of a group must have "
                "the same. Stop it first (one that crashed counts for a minute), or give this one a --group of its own"
            )

    async def renew(self) -> None:
        """Stays in the group, until cancelled. Raises as `join`, but waits out a database that is away."""
        while True:
            await asyncio.sleep(_RENEW_S)
            with suppress(*postgres.AWAY):
                await self.join()

    async def leave(self) -> None:
        """Leaves the group, if the database answers at once."""
        with suppress(*postgres.AWAY, SetupError):
            async with asyncio.timeout(_LEAVE_S):
                await self._claims.leave(self._group, self._member)


async def send(
    settings: Settings,
    channels: Sequence[Channel],
    group: str,
    stop: asyncio.Event,
    health: Health | None = None,
    *,
    probe: Probe = no_probe,
    earlier_life_s: float = EARLIER_LIFE_S,
) -> None:
    """Sends until stopped. Calls `health` once it consumes. `probe`, `earlier_life_s`: see `Attempts`.

    Raises:
        Unreachable: a server did not answer within the bound.
        SetupError: topics, rights or migrations are missing, or another member serves other channels.
    """
    telemetry.from_zero({channel.provider.name for channel in channels})
    async with AsyncExitStack() as stack:
        production = Production(settings.kafka(), "sender")
        stack.push_async_callback(production.stop)
        claims = Database(settings.required_database_url())
        stack.push_async_callback(claims.stop)
        membership = SenderMembership(claims, group, channels)
        bound_s = settings.unreachable_after_s

        async def prepare() -> None:
            await LivenessProbe("Kafka", kafka.AWAY, bound_s).answer(lambda: _check(production, settings, group))
            await LivenessProbe("PostgreSQL", postgres.AWAY, bound_s).answer(membership.join)

        if not await unless_stopped(prepare(), stop):
            return
        stack.push_async_callback(membership.leave)
        transports = _Transports(await stack.enter_async_context(HttpTransport()))
        attempts = Attempts(claims, production, transports, bound_s, probe=probe, earlier_life_s=earlier_life_s)
        dispatches = Dispatches(settings, group, channels, attempts)
        liveness = [
            ServerLiveness("Kafka", production, kafka.AWAY, bound_s),
            ServerLiveness("PostgreSQL", claims, postgres.AWAY, bound_s),
        ]
        health = health or Health()
        health.require(*(one.obstacles for one in liveness))
        watching = [asyncio.create_task(one.run(), name=one.name) for one in liveness]
        renewing = asyncio.create_task(membership.renew(), name="membership")

        def announce() -> None:
            places = [channel.place for channel in channels]
            log.info(f"Sending for {len(places)} channels.", action="ready", group=group, channels=places)
            health()

        over = asyncio.create_task(_first_end([*watching, renewing]), name="servers")
        try:
            await unless_failed(dispatches.run(stop, announce), over)
        finally:
            for one in liveness:
                one.stop()
            await asyncio.wait(watching)
            await ended(renewing, over)


async def _check(production: Production, settings: Settings, group: str) -> None:
    rights = rights_of("sender", settings.topic_prefix, settings.group_prefix)
    topics = [right for right in rights if right.resource is Resource.TOPIC]
    await production.check_rights("sender", [*topics, group_right(group)])
    await production.check_topics((TOPIC, RECEIPTS))


async def _first_end(tasks: Sequence[asyncio.Task[Any]]) -> None:
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
