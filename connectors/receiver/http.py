"""The HTTP side of the receiver: bounds a request, hands it on as it came, and answers."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.faults import ProviderFault, asked
from connectors.provider import Channel, Webhook
from connectors.receiver.taking import WebhookIntake, WebhookResult
from workers.process.metrics.of_receivers import WEBHOOKS
from workers.process.request_metrics import RequestMetrics

PATH: Final = "/webhooks/{workspace_id}/{channel_id}"
_HELD_BYTES: Final = 192 * 1024 * 1024
"""Of all bodies together. Beyond that small ones are still taken: others' large bodies do not keep them out."""
_SMALL_BODY: Final = 64 * 1024
_BODY_S: Final = 30.0
_COUNTED: Final = {408: "slow", 413: "too_large", 415: "encoded", 503: "busy"}
"""The answers that refuse a body, as metrics name them."""
_RETRY_AFTER: Final = {"retry-after": "5"}


class _Refused(Exception):  # noqa: N818 - an answer
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class WebhookServer:
    """Answers the webhooks of these channels."""

    def __init__(self, channels: Sequence[Channel], intake: WebhookIntake) -> None:
        self._channels = {(channel.workspace_id, channel.channel_id): channel for channel in channels}
        self._intake = intake
        self._held = 0
        routes = [Route(PATH, self._answer, methods=["GET", "POST"])]
        measured = Middleware(RequestMetrics, server="receiver", routes=routes)
        self.app = Starlette(routes=routes, middleware=[measured])
        self.app.router.redirect_slashes = False  # it would redirect to whatever `Host` says

    async def _answer(self, request: Request) -> Response:
        place = request.path_params
        channel = self._channels.get((place["workspace_id"], place["channel_id"]))
        if channel is None:
            return Response(status_code=404)
        if request.method == "POST":
            return await self._posted(channel, request)
        challenge = channel.provider.challenge
        if request.method != "GET" or challenge is None:
            return Response(status_code=405, headers={"allow": "POST"})
        try:
            body = asked(channel, lambda: challenge(channel, _webhook(request, b"")))
        except ProviderFault:
            body = None
        return Response(status_code=403) if body is None else Response(body, media_type="text/plain")

    async def _posted(self, channel: Channel, request: Request) -> Response:
        try:
            async with self._body(channel, request) as body:
                answer = await self._intake.take(channel, _webhook(request, body))
        except _Refused as refused:
            WEBHOOKS.labels(channel.provider.name, _COUNTED[refused.status]).inc()
            return Response(status_code=refused.status, headers=_RETRY_AFTER if refused.status == 503 else None)
        except ClientDisconnect:
            return Response(status_code=400)
        if answer is WebhookResult.ACKNOWLEDGED:
            media_type, text = channel.provider.acknowledges
            return Response(text, media_type=media_type)
        if answer is WebhookResult.FORBIDDEN:
            return Response(status_code=403)
        return Response(status_code=503, headers=_RETRY_AFTER)

    @asynccontextmanager
    async def _body(self, channel: Channel, request: Request) -> AsyncIterator[bytes]:
        """The raw bytes of the body, at most as many as the provider may send; those of all requests are bounded."""
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise _Refused(415)  # a small body could inflate to a large one
        most = channel.provider.max_body
        told = request.headers.get("content-length", "")
        if told.isdecimal() and int(told) > most:
            raise _Refused(413)
        parts, size = [], 0
        try:
            async with asyncio.timeout(_BODY_S):
                async for part in request.stream():
                    size += len(part)
                    self._held += len(part)
                    parts.append(part)
                    if size > most:
                        raise _Refused(413)
                    if self._held > _HELD_BYTES and size > _SMALL_BODY:
                        raise _Refused(503)
            body = b"".join(parts)
            parts.clear()  # else the body would be in memory twice
            yield body
        except TimeoutError:
            raise _Refused(408) from None
        finally:
            self._held -= size


def _webhook(request: Request, body: bytes) -> Webhook:
    return Webhook(request.method, request.scope["query_string"].decode("latin-1"), request.headers, body)
