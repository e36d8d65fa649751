"""Logins of the server: those of workers, of senders and of the console, and that of the embedded PostgreSQL."""

from typing import Final, NamedTuple

import asyncpg

from workers.store.queries import load

_OWN: Final = load("own_logins")
_EMBEDDED: Final = load("logins")


class Purpose(NamedTuple):
    """What a login is for: the only role that it is a member of, and how its name begins."""

    role: str
    prefix: str


WORKERS: Final = Purpose("sluice_worker", "sluice_app_")
SENDERS: Final = Purpose("sluice_sender", "sluice_send_")
CONSOLE: Final = Purpose("sluice_console", "sluice_console_")


class Logins:
    """Reads and changes the login of a purpose, as a login that may create others."""

    def __init__(self, connection: asyncpg.Connection, purpose: Purpose) -> None:
        self._connection = connection
        self._purpose = purpose

    async def name(self) -> str:
        """The name of the login to this database."""
        name: str = await self._connection.fetchval(_OWN["name"], self._purpose.prefix)
        return name

    async def known(self, name: str) -> bool:
        """Whether there is such a login."""
        return await self._connection.fetchval(_OWN["known"], name) is not None

    async def keep(self, name: str, password: str) -> None:
        """Creates or updates the login `name` with `password` and the rights of its role."""
        statement = _OWN["mending" if await self.known(name) else "making"]
        await self._connection.execute(await self._connection.fetchval(statement, name, password, self._purpose.role))


async def set_password(url: str, password: str) -> None:
    """Gives the login of `url` a password (hexadecimal digits), and makes the server reload its authentication rules. A
    server that kept running may require the password already.
    """
    connection = await asyncpg.connect(url, password=password)
    try:
        await connection.execute(_EMBEDDED["password"].format(password=password))
        await connection.execute(_EMBEDDED["reload"])
    finally:
        await connection.close()
