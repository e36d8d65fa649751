"""The HTTP side of the simulator: APIs under `/api/{workspace_id}/{channel_id}`, and phones for people."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from importlib.resources import files
from typing import Any, Final

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connectors.provider import Answer, Channel
from connectors.simulator.played import ApiRequest
from connectors.simulator.playing import NoAnswer, Simulator

_SILENT_S: Final = 600.0
_LOOK_S: Final = 0.2
_LARGEST: Final = 4 * 1024 * 1024
_NO_NAME: Final = re.compile(r"(?:localhost|[0-9.]+|\[[0-9a-f:.]+\])(?::[0-9]+)?", re.IGNORECASE)
"""A host that no DNS can point here: a page of another site cannot have it."""
_PAGE: Final = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
}


class _Guard:
    """Keeps pages of other sites away from the phones, also those whose name points to this machine, and bounds
    bodies. The APIs of providers may have any name.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers, size = Headers(scope=scope), 0

        async def bounded() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > _LARGEST:
                raise HTTPException(413)
            return message

        if not scope["path"].startswith("/api/") and not _NO_NAME.fullmatch(headers.get("host", "")):
            await Response(status_code=403)(scope, receive, send)
        elif int(headers.get("content-length", "0")) > _LARGEST:
            await Response(status_code=413)(scope, receive, send)
        else:
            await self._app(scope, bounded, send)


class SimulatorServer:
    """Serves a simulator. What waits for long ends with `stop`."""

    def __init__(self, simulator: Simulator, stop: asyncio.Event | None = None) -> None:
        self._simulator = simulator
        self._stop = stop or asyncio.Event()
        place = "{workspace_id}/{channel_id}"
        self.app = Starlette(
            routes=[
                Route("/", self._page, methods=["GET"]),
                Route("/phones", self._shown, methods=["GET"]),
                Route("/events", self._events, methods=["GET"]),
                Route(f"/say/{place}", self._say, methods=["POST"]),
                Route(f"/faults/{place}", self._fault, methods=["POST"]),
                Route(f"/api/{place}/{{path:path}}", self._api, methods=["GET", "POST", "PUT", "DELETE"]),
            ],
            middleware=[Middleware(_Guard)],
        )
        self.app.router.redirect_slashes = False

    async def _api(self, request: Request) -> Response:
        channel = self._channel(request)
        if channel is None:
            return Response(status_code=404)
        path, query = "/" + request.path_params["path"], request.scope["query_string"].decode("latin-1")
        told = ApiRequest(request.method, path, query, request.headers, await request.body())
        answer = self._simulator.call(channel, told)
        if isinstance(answer, Answer):
            return Response(answer.body, status_code=answer.status, headers=dict(answer.headers))
        if answer is NoAnswer.TIMEOUT:
            await _gone(request)
        _reset(request)
        return Response()

    async def _say(self, request: Request) -> Response:
        channel = self._channel(request)
        told = await _json(request)
        if channel is None or told is None:
            return Response(status_code=404 if channel is None else 400)
        sender, text, name = told.get("from"), told.get("text"), told.get("name")
        if not isinstance(sender, str) or not sender or not isinstance(text, str):
            return Response('Expected {"from": address, "text": text, "name": optional}.', status_code=400)
        try:
            self._simulator.say(channel, sender, text, name if isinstance(name, str) else None)
        except (ValueError, TypeError, LookupError):
            return Response(f"{channel.provider.name} has no such address.", status_code=400)
        return Response(status_code=202)

    async def _fault(self, request: Request) -> Response:
        channel = self._channel(request)
        told = await _json(request)
        if channel is None or told is None:
            return Response(status_code=404 if channel is None else 400)
        try:
            self._simulator.schedule(channel, told["fault"], int(told.get("times", 1)))
        except (LookupError, TypeError, OverflowError):
            return Response('Expected {"fault": name, "times": number}.', status_code=400)
        except ValueError as error:
            return Response(str(error), status_code=400)
        return Response(status_code=202)

    async def _page(self, _request: Request) -> Response:
        return HTMLResponse(files(__package__).joinpath("page.html").read_text(encoding="utf-8"), headers=_PAGE)

    async def _shown(self, _request: Request) -> Response:
        return JSONResponse(self._document(), headers={"x-content-type-options": "nosniff"})

    async def _events(self, request: Request) -> Response:
        async def changes() -> AsyncIterator[str]:
            seen, phones = -1, self._simulator.phones
            while not self._stop.is_set() and not await request.is_disconnected():
                if seen != phones.changes:
                    seen = phones.changes
                    yield f"data: {json.dumps(self._document())}\n\n"
                await asyncio.sleep(_LOOK_S)

        return StreamingResponse(changes(), media_type="text/event-stream", headers={"cache-control": "no-store"})

    def _document(self) -> dict[str, Any]:
        return {
            "channels": [
                {
                    "place": channel.place,
                    "provider": channel.provider.name,
                    "kind": channel.kind,
                    "name": channel.name,
                    "faults": self._simulator.faults_of(channel),
                }
                for channel in self._simulator.channels.values()
            ],
            "phones": self._simulator.phones.document(),
        }

    def _channel(self, request: Request) -> Channel | None:
        place = request.path_params
        return self._simulator.channels.get((place["workspace_id"], place["channel_id"]))


async def _gone(request: Request) -> None:
    """Returns once the caller has gone, or after a long time. The body must have been read."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_SILENT_S):
            while (await request.receive())["type"] != "http.disconnect":
                pass


def _reset(request: Request) -> None:
    """Breaks the connection of a request. What is answered afterwards reaches nobody."""
    extensions = request.scope.get("extensions", {})
    if "connection" not in extensions:
        raise ConnectionResetError("as asked")
    extensions["connection"]["abort"]()


async def _json(request: Request) -> dict[str, Any] | None:
    """The JSON object of a request that a page of another site cannot have made: it had to ask for this type."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        return None
    try:
        told = json.loads(await request.body())
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None
