"""An HTTP server in the process's own event loop, with bounds."""

import asyncio
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette

from workers.errors import SettingsError
from workers.process.bounded_http import BoundedHttp
from workers.process.tasks import ended

_STOP_S: Final = 20
_CONNECTIONS: Final = 2_000
_IDLE_S: Final = 75


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The process handles its signals itself."""
        yield


def listening(host: str, port: int) -> socket.socket:
    """A socket for a server; port 0 takes a free one.

    Raises:
        SettingsError: the address is not available.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise _taken((host, port), error) from error
    return sock


def accept_connections(sock: socket.socket) -> None:
    """From now on clients can connect.

    Raises:
        SettingsError: another process that was started at the same moment has the address.
    """
    try:
        sock.listen()
    except OSError as error:
        raise _taken(sock.getsockname(), error) from error


def _taken(address: Sequence[Any], error: OSError) -> SettingsError:
    host, port = address[:2]
    return SettingsError(f"--host and --port: {host}:{port} is not available: {error.strerror or error}")


async def serve_http(app: Starlette, sock: socket.socket, stop: asyncio.Event) -> None:
    """Serves until stopped; then finishes the requests that it has accepted, within a bound."""
    server = _Server(
        uvicorn.Config(
            app,
            http=BoundedHttp,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=_CONNECTIONS,
            timeout_keep_alive=_IDLE_S,
            timeout_graceful_shutdown=_STOP_S,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[sock]), name="http")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
    finally:
        await ended(serving, stopping)
