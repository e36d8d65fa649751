"""Calls of providers over HTTP: one pool of connections for each provider."""

import asyncio
import ssl
from contextlib import AsyncExitStack
from typing import Final, Self

import aiohttp
from yarl import URL

from connectors.provider import Answer, Call, Channel
from connectors.sender.transport import Broken, NotConnected

_CONNECT_S: Final = 5.0
_CONNECT_SHARE: Final = 1 / 3
"""Of `timeout_s`, until a request leaves: whoever accepts no connection has taken nothing, and that must be known
before the time for the whole call is over.
"""
_CONNECTIONS: Final = 200
_KEPT_S: Final = 5.0
"""Less than any provider keeps an idle connection: a request on one that it closed meanwhile would be in doubt."""
_LARGEST_ANSWER: Final = 256 * 1024
_NOTHING_LEFT: Final = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
    ssl.SSLError,
)


class HttpTransport:
    """Connections to providers. Certificates are verified; redirects are not followed, cookies not kept, proxies of the
    environment not used, and no answer is inflated.
    """

    def __init__(self) -> None:
        self._sessions: dict[str, aiohttp.ClientSession] = {}
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
        session = await self._session(channel.provider.name)
        before_s = min(_CONNECT_S, channel.timeout_s * _CONNECT_SHARE)
        try:
            async with (
                asyncio.timeout(channel.timeout_s),
                session.request(
                    call.method,
                    URL(call.url, encoded=True),  # as the provider's module wrote it
                    headers=call.headers,
                    data=call.body,
                    timeout=aiohttp.ClientTimeout(total=None, connect=before_s),
                    allow_redirects=False,
                ) as answer,
            ):
                body = await _start_of(answer.content)
                return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, body)
        except _NOTHING_LEFT as error:
            raise NotConnected(type(error).__name__) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: aiohttp cannot write or read it
            if isinstance(error, TimeoutError):
                raise
            raise Broken(type(error).__name__) from error

    async def _session(self, provider: str) -> aiohttp.ClientSession:
        if provider not in self._sessions:
            session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=_KEPT_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                headers={"user-agent": "sluice", "accept-encoding": "identity"},
            )
            self._sessions[provider] = await self._stack.enter_async_context(session)
        return self._sessions[provider]


async def _start_of(content: aiohttp.StreamReader) -> bytes:
    body = b""
    while len(body) < _LARGEST_ANSWER and (part := await content.read(_LARGEST_ANSWER - len(body))):
        body += part
    return body
