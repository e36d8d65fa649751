"""Requests are counted by the route that the code has, never by the path that a client asks for."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, Router
from starlette.types import Receive, Scope, Send

from tests.support.metrics import Growth
from workers.process.request_metrics import RequestMetrics


async def _hello(_request: Request) -> Response:
    return PlainTextResponse("hello", 201)


async def _fault(_request: Request) -> Response:
    raise ValueError


async def _stream(_request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.sleep(0.3)
        yield b"b"

    return StreamingResponse(parts())


async def _cancelled(_request: Request) -> Response:
    raise asyncio.CancelledError


class Hidden:
    """An application around a router, as the console has one: its routes cannot be seen from outside."""

    def __init__(self, router: Router) -> None:
        self._router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._router(scope, receive, send)


def client(server: str) -> httpx.AsyncClient:
    below = [Route("/fault/{id:int}", _fault), Route("/stream", _stream), Route("/cancelled", _cancelled)]
    routes = [Route("/people/{name}", _hello, methods=["GET", "POST"]), Mount("/api/v1", routes=below)]
    app = Starlette(
        routes=[Mount("", app=Hidden(Router(routes)))],
        middleware=[Middleware(RequestMetrics, server=server, routes=routes)],
    )
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://test.example"
    )


async def test_a_request_is_counted_by_route_method_and_code() -> None:
    server, growth = f"test-{uuid4()}", Growth()

    def counted(route: str, method: str, code: str) -> float:
        return growth.of("sluice_http_requests_total", server=server, route=route, method=method, code=code)

    async with client(server) as asks:
        for name in ("ada", "bert"):
            assert (await asks.get(f"/people/{name}")).status_code == 201
        await asks.delete("/people/ada")
        await asks.request("FROBNICATE", "/people/ada")
        await asks.get("/api/v1/fault/7")
        await asks.get("/nowhere/ada")
        with pytest.raises(asyncio.CancelledError):
            await asks.get("/api/v1/cancelled")
    assert counted("/people/{name}", "GET", "201") == 2
    assert counted("/people/{name}", "DELETE", "405") == 1
    assert counted("/people/{name}", "other", "405") == 1
    assert counted("/api/v1/fault/{id}", "GET", "500") == 1
    assert counted("none", "GET", "404") == 1
    assert counted("/api/v1/cancelled", "GET", "gone") == 1
    assert growth.of("sluice_http_request_seconds_count", server=server, route="/people/{name}") == 4


async def test_the_duration_ends_with_the_head_of_the_answer() -> None:
    server, growth = f"test-{uuid4()}", Growth()
    async with client(server) as asks:
        assert (await asks.get("/api/v1/stream")).text == "ab"
    assert growth.of("sluice_http_request_seconds_count", server=server, route="/api/v1/stream") == 1
    assert growth.of("sluice_http_request_seconds_sum", server=server, route="/api/v1/stream") < 0.25
