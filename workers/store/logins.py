"""Logins of the server: that of the workers, and that of the embedded PostgreSQL."""

from typing import Final

import asyncpg

from workers.store.queries import load

_WORKERS: Final = load("worker_login")
_EMBEDDED: Final = load("logins")


class Logins:
    """Reads and changes the workers' login, a member of the role `sluice_worker` and nothing else, as a login that may
    create others.
    """

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def name(self) -> str:
        """The name of the workers' login to this database."""
        name: str = await self._connection.fetchval(_WORKERS["name"])
        return name

    async def known(self, name: str) -> bool:
        """Whether there is such a login."""
        return await self._connection.fetchval(_WORKERS["known"], name) is not None

    async def keep(self, name: str, password: str) -> None:
        """Creates or updates the login `name` with `password` and the rights of a worker."""
        statement = _WORKERS["mending" if await self.known(name) else "making"]
        await self._connection.execute(await self._connection.fetchval(statement, name, password))


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
