"""Takes a webhook: verifies it, understands it, and produces what it says. The same for HTTP and for mail."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Final

import structlog

from connectors.provider import Channel, Webhook
from connectors.receiver.judging import is_verified, understood
from connectors.receiver.unmapped import unmapped
from connectors.understanding import Understanding
from workers.errors import SetupError
from workers.process.metrics.of_receivers import (
    ANOTHER_ACCOUNT,
    IGNORED,
    NOT_UNDERSTOOD,
    WEBHOOK_RECORDS,
    WEBHOOK_SECONDS,
    WEBHOOKS,
)
from workers.process.production import AWAY, Produced, Production

ACKNOWLEDGED_WITHIN_S: Final = 5.0
_LARGE_BODY: Final = 128 * 1024
_MOST_TYPES: Final = 200

log = structlog.get_logger()


class WebhookResult(Enum):
    """What became of a webhook."""

    ACKNOWLEDGED = auto()
    """Kafka has everything that it says."""
    FORBIDDEN = auto()
    """Its signature or token is missing or wrong."""
    UNAVAILABLE = auto()
    """Kafka did not acknowledge in time: the provider sends it again."""


def _now() -> datetime:
    return datetime.now(UTC)


class WebhookIntake:
    """Takes the webhooks of these channels. It keeps nothing between two webhooks."""

    def __init__(
        self, channels: Sequence[Channel], production: Production, clock: Callable[[], datetime] = _now
    ) -> None:
        self._production = production
        self._clock = clock
        self._types: set[tuple[str, str]] = set()
        # Several workspaces may name one account: the secret tells whose it is.
        self._by_account: dict[tuple[str, str], list[Channel]] = {}
        for channel in channels:
            if channel.provider.account is not None:
                account = channel.provider.name, channel.provider.account(channel)
                self._by_account.setdefault(account, []).append(channel)

    async def take(self, channel: Channel, webhook: Webhook) -> WebhookResult:
        """Returns once every record of the webhook is acknowledged, or cannot be."""
        provider = channel.provider.name
        with WEBHOOK_SECONDS.labels(provider).time():
            answer = await self._take(channel, webhook)
        WEBHOOKS.labels(provider, answer.name.lower()).inc()
        return answer

    async def _take(self, channel: Channel, webhook: Webhook) -> WebhookResult:
        now = self._clock()
        if len(webhook.body) > _LARGE_BODY:  # in a thread: others do not wait for it
            records = await asyncio.to_thread(self._mapped, channel, webhook, now)
        else:
            records = self._mapped(channel, webhook, now)
        if records is None:
            return WebhookResult.FORBIDDEN
        if not records:
            return WebhookResult.ACKNOWLEDGED
        try:
            async with asyncio.timeout(ACKNOWLEDGED_WITHIN_S):
                await self._production.produce(records)
        except (*AWAY, SetupError) as error:
            log.warning(
                "Kafka did not acknowledge a webhook in time; the provider sends it again.",
                action="not_acknowledged",
                channel=channel.place,
                error=str(error) or type(error).__name__,
            )
            return WebhookResult.UNAVAILABLE
        return WebhookResult.ACKNOWLEDGED

    def _mapped(self, channel: Channel, webhook: Webhook, now: datetime) -> list[Produced] | None:
        """The records of a webhook, those for other accounts of the same app included; None if it is not verified."""
        if not is_verified(channel, webhook, now):
            return None
        found = understood(channel, webhook, now)
        records = self._noted(channel, webhook, found, now)
        for account in sorted(found.accounts):
            of_account = self._by_account.get((channel.provider.name, account), ())
            other = next((one for one in of_account if one is not channel and is_verified(one, webhook, now)), None)
            if other is None:
                self._ignored(channel, ANOTHER_ACCOUNT, 1)
                continue
            records += self._noted(other, webhook, understood(other, webhook, now), now)
        return records

    def _noted(self, channel: Channel, webhook: Webhook, found: Understanding, now: datetime) -> list[Produced]:
        provider = channel.provider.name
        for record in found.records:
            WEBHOOK_RECORDS.labels(provider, record.topic).inc()
        for type_, count in found.ignored.items():
            self._ignored(channel, type_, count)
        records = [Produced(record) for record in found.records]
        if found.errors:
            NOT_UNDERSTOOD.labels(provider).inc()
            log.warning(
                "A webhook was not understood; it is kept on webhooks.unmapped.",
                action="unmapped",
                channel=channel.place,
                errors=found.errors,
            )
            records.append(unmapped(channel, webhook, found.errors, now))
        return records

    def _ignored(self, channel: Channel, type_: str, count: int) -> None:
        """Counts by type. A provider has few types; more than that are one."""
        label = channel.provider.name, type_
        if label not in self._types and len(self._types) >= _MOST_TYPES:
            label = channel.provider.name, "other"
        self._types.add(label)
        IGNORED.labels(*label).inc(count)
