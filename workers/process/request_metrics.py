"""Counts the requests of an HTTP server by route and status code, and measures how long their answers take."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workers.process.metrics.of_requests import REQUEST_SECONDS, REQUESTS

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER: Final = "other"
_NO_ROUTE: Final = "none"
_GONE: Final = "gone"
_FAULT: Final = "500"


class RequestMetrics:
    """Around a whole application. The duration ends with the head of the answer: a stream has no other end.

    `server` names the application. `routes` are its routes, which it must keep: their paths, with the names of
    parameters in the place of values, are labels. The path that a client asks for never is.
    """

    def __init__(self, app: ASGIApp, server: str, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._server = server
        self._paths = dict(_paths("", routes))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        clock = asyncio.get_running_loop().time
        began, counted = clock(), False

        def count(code: str) -> None:
            nonlocal counted
            if not counted:
                counted = True
                self._count(scope, code, clock() - began)

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                count(str(message["status"]))
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except BaseException as error:
            count(_FAULT if isinstance(error, Exception) else _GONE)
            raise
        count(_GONE)

    def _count(self, scope: Scope, code: str, seconds: float) -> None:
        route = self._paths.get(id(scope.get("route")), _NO_ROUTE)
        method = scope["method"] if scope["method"] in _METHODS else _OTHER
        REQUESTS.labels(self._server, route, method, code).inc()
        REQUEST_SECONDS.labels(self._server, route).observe(seconds)


def _paths(prefix: str, routes: Sequence[BaseRoute]) -> Iterator[tuple[int, str]]:
    """The identity of each route, which a request has in its scope, and the whole path."""
    for route in routes:
        if isinstance(route, Mount):
            yield from _paths(prefix + route.path, route.routes)
        elif isinstance(route, Route):
            yield id(route), prefix + route.path_format
