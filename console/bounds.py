"""Bounds of every request: the size of its body, and the time that it may take. And the headers of every answer."""

import asyncio
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY: Final = 256 * 1024
REQUEST_S: Final = 30.0
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Bounds:
    """Refuses large bodies with 413. A request whose answer does not begin in time is ended with 503. An answer that
    has begun may take longer: an export, a stream of events.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        size = 0

        async def bounded() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > LARGEST_BODY:
                raise HTTPException(413)
            return message

        declared = Headers(scope=scope).get("content-length", "0")
        if int(declared) > LARGEST_BODY:  # the server has checked that it is a number
            raise HTTPException(413)
        try:
            async with asyncio.timeout(REQUEST_S) as deadline:

                async def begun(message: Message) -> None:
                    deadline.reschedule(None)
                    await send(message)

                await self._app(scope, bounded, begun)
        except TimeoutError:
            raise HTTPException(503) from None


class AnswerHeaders:
    """Sets the headers that keep a page from being framed, sniffed, stored, or given scripts of others."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                set_headers(MutableHeaders(scope=message))
            await send(message)

        await self._app(scope, receive, with_headers)


def set_headers(headers: MutableHeaders) -> None:
    """The same for one answer, that of a fault: it is sent outside of everything else."""
    for name, value in _HEADERS.items():
        headers[name] = value
    headers.setdefault("cache-control", "no-store")
