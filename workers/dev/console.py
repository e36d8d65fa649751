"""The console of `sluice dev` and of the demo: a user that may do everything, and a link that logs in once."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final, Self

from console.access import Access
from console.person import Person
from console.process import console_postgres, serve
from workers.app.settings import Settings
from workers.dev.relay import LOOPBACK, listening, port_of
from workers.process.health import Health

CONSOLE_PORT: Final = 8080
USER: Final = "dev"


class DevConsole:
    """Runs beside the workers, once they consume. `port`: None takes the usual one, if that is free."""

    def __init__(self, port: int | None) -> None:
        self._port = port
        self._stack = ExitStack()
        self._sock: socket.socket | None = None
        self._serving: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        """Takes the port.

        Raises:
            SettingsError: it is in use.
        """
        self._sock = self._stack.enter_context(listening(self._port, CONSOLE_PORT, "--console-port"))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def begin(self, settings: Settings, stop: asyncio.Event, tell: Callable[[str], None]) -> None:
        """Serves, and tells the link. If the console ends by itself, the whole process stops."""
        assert self._sock is not None  # noqa: S101 - `begin` is called inside of the context
        self._serving = asyncio.create_task(_serve(settings, self._sock, stop, tell), name="console")
        self._serving.add_done_callback(lambda _: stop.set())

    async def ended(self) -> None:
        """Waits until it is over, and raises what ended it."""
        if self._serving is not None:
            await self._serving


async def _serve(settings: Settings, sock: socket.socket, stop: asyncio.Event, tell: Callable[[str], None]) -> None:
    link = await login_link(settings, sock)
    await serve(settings, sock, stop, Health(lambda: tell(link)))


async def login_link(settings: Settings, sock: socket.socket) -> str:
    """An address that logs the user of this machine in, once."""
    postgres = console_postgres(settings)
    try:
        access = Access(postgres)
        await access.keep_user(Person(USER, "owner", [], is_operator=True))
        return f"http://{LOOPBACK}:{port_of(sock)}/login/{await access.link(USER)}"
    finally:
        await postgres.stop()
