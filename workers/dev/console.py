"""The console of `sluice dev` and of the demo: a user that may do everything, and a link that logs in once."""

import socket
from typing import Final

from console.access import Access
from console.person import Person
from console.process import console_postgres
from workers.app.settings import Settings
from workers.dev.relay import LOOPBACK, port_of

CONSOLE_PORT: Final = 8080
USER: Final = "dev"


async def login_link(settings: Settings, sock: socket.socket) -> str:
    """An address that logs the user of this machine in, once."""
    postgres = console_postgres(settings)
    try:
        access = Access(postgres)
        await access.keep_user(Person(USER, "owner", [], is_operator=True))
        return f"http://{LOOPBACK}:{port_of(sock)}/login/{await access.link(USER)}"
    finally:
        await postgres.stop()
