"""How often and how long to retry a transaction whose failure passes by itself, or with fewer records."""

import asyncio
from typing import Final

import structlog

from workers.errors import ApplyFailed, RetryBatch
from workers.process.metrics.of_workers import RETRIES, SQLSTATES
from workers.records import TOO_COSTLY
from workers.runtime.exhaustion_deadline import ExhaustionDeadline
from workers.runtime.ports import Ledger
from workers.runtime.transaction_attempt import BatchAttempt
from workers.store.failures import Conflict, ConnectionLost, Exhausted, Interrupted, TooMuch, sqlstate_class

MOST_CONFLICTS: Final = 50
MOST_LOST_CONNECTIONS: Final = 5
LOST_BEFORE_DIVIDED: Final = 2
"""After so many connections lost in a row during the same records, the records may be the cause."""
FAILURES_ALONE: Final = 2
MOST_COSTLY_IN_A_ROW: Final = 20
"""After so many records set aside in a row, with none applied between them, the records are not the cause."""
_PAUSE_S: Final = 0.01
_LONGEST_PAUSE_S: Final = 0.25

log = structlog.get_logger()
Passing = Conflict | RetryBatch | ConnectionLost | TooMuch


class RetryPolicy:
    """Counts the failures of one attempt. `costly_in_a_row`: how many records were set aside before it since the last
    record that was applied.
    """

    def __init__(
        self, worker: str, attempt: BatchAttempt, ledger: Ledger, unreachable_after_s: float, costly_in_a_row: int
    ) -> None:
        self._worker = worker
        self._attempt = attempt
        self._ledger = ledger
        self._exhaustion = ExhaustionDeadline(unreachable_after_s)
        self._costly_in_a_row = costly_in_a_row
        self._conflicts = self._lost = self._interrupted = self._failures_alone = 0

    async def failed_with(self, failure: Passing) -> None:
        """Returns when the attempt may run again. By then it has set aside a record that alone is too much.

        Raises:
            TooMuch: the attempt has to be divided.
            ApplyFailed: the failure does not pass.
            Unreachable, SetupError: PostgreSQL is gone or full for good, or refuses a right.
        """
        SQLSTATES.labels(self._worker, sqlstate_class(failure)).inc()
        match failure:
            case TooMuch():
                self._count("TooMuch")
                await self._too_much(failure)
            case Exhausted():
                self._count("Exhausted")
                await self._exhaustion.wait(failure)
                await self._ledger.reconnect()
            case ConnectionLost():
                self._count("ConnectionLost")
                await self._lost_connection(failure)
            case _:
                self._count(type(failure).__name__)
                await self._conflict(failure)

    def _count(self, reason: str) -> None:
        RETRIES.labels(self._worker, reason).inc()

    async def _conflict(self, conflict: Conflict | RetryBatch) -> None:
        self._conflicts += 1
        if self._conflicts > MOST_CONFLICTS:
            raise ApplyFailed(f"{self._attempt.described()}: conflicts do not end: {conflict}") from conflict
        await asyncio.sleep(min(_LONGEST_PAUSE_S, _PAUSE_S * self._conflicts))

    async def _lost_connection(self, gone: ConnectionLost) -> None:
        self._lost += 1
        # Only the next fence tells whether a COMMIT arrived. Nothing is divided before that.
        self._interrupted = self._interrupted + 1 if isinstance(gone, Interrupted) else 0
        if self._lost > MOST_LOST_CONNECTIONS:
            raise ApplyFailed(f"{self._attempt.described()}: every attempt lost its connection: {gone}") from gone
        log.warning("The connection to PostgreSQL was lost; trying again.", action="connection_lost")
        await self._ledger.reconnect()
        if self._interrupted >= LOST_BEFORE_DIVIDED and not self._attempt.alone:
            raise TooMuch("its connection was lost again and again") from gone

    async def _too_much(self, failure: TooMuch) -> None:
        # The connection may still hold memory of the server that the transaction took.
        await self._ledger.reconnect()
        if not self._attempt.alone:
            raise failure
        if not await self._ledger.sound():
            self._failures_alone = 0
            await self._exhaustion.wait(failure)
            await self._ledger.reconnect()
            return
        # A failure of the server may just have passed. A record is the cause if the server was sound before and after.
        self._failures_alone += 1
        if self._failures_alone < FAILURES_ALONE:
            return
        if self._costly_in_a_row >= MOST_COSTLY_IN_A_ROW:
            raise ApplyFailed(
                f"{self._attempt.described()}: {self._costly_in_a_row} records in a row were too much for a "
                f"transaction of their own, which is no record's fault: {failure}"
            ) from failure
        self._attempt.set_all_aside(f"{TOO_COSTLY}alone it is too much for a transaction: {failure}")
