"""Asks the server whether it answers, and whether the schema is still the one that this process was made for."""

from typing import Final

from asyncpg.exceptions import PostgresError

from workers.errors import SetupError
from workers.store.failures import StoreFailure, translated
from workers.store.migrate import checksums, migrations
from workers.store.pool import Server

NOT_CURRENT: Final = "the database's schema is of another version"


class CurrentSchema(Server):
    """As `Server`. A schema of another version does not end the process: its workers go on until they are replaced."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        # Once: an upgrade in place changes the files of a process that runs.
        self._known = {migration.name: migration.checksum for migration in migrations()}
        self._is_current = True

    async def ask(self) -> None:
        """See the base class."""
        await super().ask()
        if self._connection is None:
            return
        try:
            async with translated():
                self._is_current = await checksums(self._connection) == self._known
        except (StoreFailure, SetupError):
            pass  # it says nothing about the schema
        except PostgresError:
            self._is_current = False  # there is no such table

    def obstacles(self) -> list[str]:
        """That the schema is of another version, if so: see `Health`."""
        return [] if self._is_current else [NOT_CURRENT]
