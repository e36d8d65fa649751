"""How long a server may fail us without a break before we give up."""

import asyncio
from typing import Final

import structlog

from workers.errors import Unreachable
from workers.store.failures import Exhausted

_PAUSE_FOR_ROOM_S: Final = 1.0

log = structlog.get_logger()


class Patience:
    """Bears failures for `bound_s` seconds; `complaint` is the sentence that is said when they do not end."""

    def __init__(self, bound_s: float, complaint: str) -> None:
        self._bound_s = bound_s
        self._complaint = complaint
        self._failing_since: float | None = None

    def answered(self) -> None:
        """It works (again)."""
        self._failing_since = None

    def bear(self, error: Exception) -> None:
        """It failed.

        Raises:
            Unreachable: so it has, without a break, for the bound.
        """
        now = asyncio.get_running_loop().time()
        if self._failing_since is None:
            self._failing_since = now
        if now - self._failing_since > self._bound_s:
            raise Unreachable(f"{self._complaint} for {self._bound_s:g} s: {str(error) or repr(error)}") from error


class Room:
    """Waits until somebody has made room in the database."""

    def __init__(self, bound_s: float) -> None:
        self._patience = Patience(bound_s, "PostgreSQL has lacked space, memory or connections")

    async def wait(self, full: Exhausted) -> None:
        """For a moment.

        Raises:
            Unreachable: it has been full for the bound.
        """
        self._patience.bear(full)
        log.warning(f"PostgreSQL lacks room; trying again: {full}", action="database_exhausted")
        await asyncio.sleep(_PAUSE_FOR_ROOM_S)
