"""Delivers webhooks as providers do: tries again, delivers some twice, and mixes up the order of some."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Final

import aiohttp
import structlog
from yarl import URL

from connectors.provider import Channel, Webhook
from connectors.providers.smtp import LMTP, host_and_port
from connectors.simulator.smtp_server import HandOverError, hand_over

_TRIES: Final = 20
_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 5.0
_AT_ONCE: Final = 50
_DELAYED_BY_S: Final = 0.3
_ANSWER_S: Final = 30.0
_TAKEN: Final = 200

log = structlog.get_logger()


class Deliveries:
    """Delivers to the receiver at this address. `repeated` and `delayed` are shares of all webhooks, from 0 to 1."""

    def __init__(self, receiver: str, repeated: float = 0.1, delayed: float = 0.1, seed: int = 1) -> None:
        self._receiver = receiver.rstrip("/")
        self._repeated = repeated
        self._delayed = delayed
        self._random = Random(seed)  # noqa: S311 - no secret
        self._client: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def deliver(self, channel: Channel, webhook: Webhook, told: Callable[[bool], None] = lambda _: None) -> None:
        """Delivers in the background; tells whether the receiver took it."""
        task = asyncio.create_task(self._deliver(channel, webhook, told))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def under_way(self) -> int:
        """Webhooks that are not over, repeats included."""
        return len(self._tasks)

    async def stop(self) -> None:
        """Ends what is not delivered."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.close()

    async def _deliver(self, channel: Channel, webhook: Webhook, told: Callable[[bool], None]) -> None:
        if self._random.random() < self._delayed:
            await asyncio.sleep(_DELAYED_BY_S)
        taken = await self._insist(channel, webhook)
        told(taken)
        if taken and self._random.random() < self._repeated:
            await self._insist(channel, webhook)

    async def _insist(self, channel: Channel, webhook: Webhook) -> bool:
        url = f"{self._receiver}{channel.webhook}" + (f"?{webhook.query}" if webhook.query else "")
        pause_s, last = _FIRST_PAUSE_S, ""
        for _ in range(_TRIES):
            try:
                if webhook.method == LMTP:
                    await hand_over(*host_and_port(channel.keys.listen), webhook)
                    return True
                status = await self._post(webhook, url)
            except (aiohttp.ClientError, HandOverError, OSError) as error:
                last = type(error).__name__
            else:
                if status == _TAKEN:
                    return True
                last = str(status)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        log.error("The receiver did not take a webhook.", action="webhook_lost", channel=channel.place, answer=last)
        return False

    async def _post(self, webhook: Webhook, url: str) -> int:
        if self._client is None:
            self._client = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_AT_ONCE), timeout=aiohttp.ClientTimeout(total=_ANSWER_S)
            )
        async with self._client.request(
            webhook.method, URL(url, encoded=True), headers=webhook.headers, data=webhook.body
        ) as answer:
            return answer.status
