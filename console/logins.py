"""Logins with a password, slowed down for each name and each address, over all processes."""

from datetime import timedelta
from typing import Final

from console.access import Access, digest
from console.passwords import Passwords
from console.rates import too_many
from workers.process.postgres import Postgres
from workers.process.queries import statements

_SQL: Final = statements("console", "access")
_LONGEST_NAME: Final = 128
_SLOWER: Final = [timedelta(seconds=seconds) for seconds in (2, 4, 8, 16, 32, 60)]
# How long after the nth failure the next attempt may come. Many people share an address.
_OF_NAME: Final = [timedelta(0)] * 4 + _SLOWER
_OF_ADDRESS: Final = [timedelta(0)] * 29 + _SLOWER


class Logins:
    """An attempt counts as failed before the password is compared: many at once are no way around the waits."""

    def __init__(self, postgres: Postgres, access: Access, passwords: Passwords) -> None:
        self._postgres = postgres
        self._access = access
        self._passwords = passwords

    async def begun(self, name: str, password: str, address: str) -> str | None:
        """A new session; None: name and password do not fit together. An unknown name takes as long as a known one.

        Raises:
            HTTPException: 429, too many attempts failed.
            Any of `Postgres`.
        """
        asked = name if len(name) <= _LONGEST_NAME else ""  # no user has such a name
        by_name, by_address = digest(f"name {asked}"), digest(f"address {address}")
        await self._count(by_address, _OF_ADDRESS)
        await self._count(by_name, _OF_NAME)
        rows = await self._postgres.fetch(_SQL["password"], asked)
        if not await self._passwords.fits(password, rows[0]["password_hash"] if rows else None):
            return None
        await self._postgres.fetch(_SQL["forgive"], by_name, by_address)
        return await self._access.begun(rows[0]["user_id"])

    async def _count(self, subject: bytes, waits: list[timedelta]) -> None:
        if not await self._postgres.fetch(_SQL["count_login"], subject, waits):
            [(wait_s,)] = await self._postgres.fetch(_SQL["wait_of_login"], subject, waits) or [(1.0,)]
            raise too_many(wait_s)
