"""Calls of providers over HTTP: one pool of connections for each provider."""

import asyncio
from contextlib import AsyncExitStack
from typing import Final, Self

import httpx

from connectors.provider import Answer, Call, Channel
from connectors.sender.transport import Broken, NotConnected

_CONNECT_S: Final = 5.0
_CONNECT_SHARE: Final = 1 / 3
"""Of `timeout_s`, for each step before a request leaves: whoever accepts no connection has taken nothing, and that must
be known before the time for the whole call is over.
"""
_CONNECTIONS: Final = 200
_KEPT_S: Final = 5.0
"""Less than any provider keeps an idle connection: a request on one that it closed meanwhile would be in doubt."""
_LARGEST_ANSWER: Final = 256 * 1024
_NOTHING_LEFT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class HttpTransport:
    """Connections to providers. Certificates are verified; redirects are not followed."""

    def __init__(self) -> None:
        self._clients: dict[str, httpx.AsyncClient] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def deliver(self, channel: Channel, call: Call) -> Answer:
        """The answer to a call: its body is cut at 256 KiB.

        Raises:
            NotConnected: nothing left.
            Broken: the request began, and there is no whole answer.
            TimeoutError: the same, and `timeout_s` is over.
        """
        client = await self._client(channel.provider.name)
        before_s = min(_CONNECT_S, channel.timeout_s * _CONNECT_SHARE)
        timeout = httpx.Timeout(None, connect=before_s, pool=before_s)
        try:
            async with (
                asyncio.timeout(channel.timeout_s),
                client.stream(
                    call.method, call.url, headers=dict(call.headers), content=call.body, timeout=timeout
                ) as answer,
            ):
                body = b""
                async for part in answer.aiter_bytes(_LARGEST_ANSWER):
                    body += part
                    if len(body) >= _LARGEST_ANSWER:
                        break
                return Answer(answer.status_code, dict(answer.headers), body[:_LARGEST_ANSWER])
        except (*_NOTHING_LEFT, httpx.InvalidURL) as error:
            raise NotConnected(type(error).__name__) from error
        except httpx.HTTPError as error:
            raise Broken(type(error).__name__) from error

    async def _client(self, provider: str) -> httpx.AsyncClient:
        if provider not in self._clients:
            client = httpx.AsyncClient(
                follow_redirects=False,
                trust_env=False,
                limits=httpx.Limits(max_connections=_CONNECTIONS, keepalive_expiry=_KEPT_S),
                headers={"user-agent": "sluice"},
            )
            self._clients[provider] = await self._stack.enter_async_context(client)
        return self._clients[provider]
