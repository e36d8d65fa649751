"""How long the database may lack space, memory or connections before the process ends."""

import asyncio
from typing import Final

import structlog

from workers.process.failure_deadline import FailureDeadline
from workers.store.failures import Exhausted, TooMuch

_PAUSE_S: Final = 1.0

log = structlog.get_logger()


class ExhaustionDeadline:
    """Waits while the database is full."""

    def __init__(self, bound_s: float) -> None:
        self._deadline = FailureDeadline(bound_s, "PostgreSQL has lacked space, memory, connections or time")

    async def wait(self, full: Exhausted | TooMuch) -> None:
        """Waits a moment before the next attempt.

        Raises:
            Unreachable: the database has been full for the bound.
        """
        self._deadline.failed_with(full)
        log.warning(f"PostgreSQL lacks space, memory or connections; trying again: {full}", action="database_exhausted")
        await asyncio.sleep(_PAUSE_S)
