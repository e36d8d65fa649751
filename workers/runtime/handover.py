"""Hands partitions over before they are revoked or the process ends: publishes the outbox and releases the leases.

It takes a bounded time. The next owner does not depend on it; it only has less to repeat.
"""

import asyncio
from typing import Final

import structlog

from workers.runtime.ports import Ledger, Probe
from workers.runtime.publishing import Outlet
from workers.store.failures import Conflict, ConnectionLost

DRAIN_S: Final = 20.0

log = structlog.get_logger()


class HandOver:
    """Hands over all partitions of one worker."""

    def __init__(self, outlet: Outlet, ledger: Ledger, probe: Probe) -> None:
        self._outlet = outlet
        self._ledger = ledger
        self._probe = probe

    async def __call__(self) -> bool:
        """True if the whole outbox was published in time."""
        await self._probe("handing_over")
        drained = await self._drained()
        self._outlet.forget()
        try:
            await self._ledger.forget_published(self._outlet.published())
            await self._ledger.release()
        except (ConnectionLost, Conflict):
            log.info("The leases could not be released; the next owner takes them.", action="not_released")
        await self._probe("handed_over")
        return drained

    async def _drained(self) -> bool:
        try:
            async with asyncio.timeout(DRAIN_S):
                await self._outlet.drained()
        except TimeoutError:
            log.warning("Not all outputs could be published in time.", action="drain_incomplete")
            return False
        return True
