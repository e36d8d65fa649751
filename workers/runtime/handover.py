"""What an owner does before partitions leave it, or before it ends: publish what is owed, give the leases back.

Bounded: whoever comes next does not depend on it, it only has less to repeat.
"""

import asyncio
from typing import Final

import structlog

from workers.runtime.outlet import Outlet
from workers.runtime.ports import Ledger, Probe
from workers.store.failures import Conflict, ConnectionLost

DRAIN_S: Final = 20.0

log = structlog.get_logger()


class HandOver:
    """Hands everything over that one worker holds."""

    def __init__(self, outlet: Outlet, ledger: Ledger, probe: Probe) -> None:
        self._outlet = outlet
        self._ledger = ledger
        self._probe = probe

    async def __call__(self) -> bool:
        """True if everything owed was published in time."""
        await self._probe("handing_over")
        drained = await self._drained()
        self._outlet.forget()
        try:
            await self._ledger.settle(self._outlet.settled())
            await self._ledger.release()
        except (ConnectionLost, Conflict):
            log.warning("The leases could not be given back; the next owner takes them.", action="not_released")
        await self._probe("handed_over")
        return drained

    async def _drained(self) -> bool:
        try:
            async with asyncio.timeout(DRAIN_S):
                await self._outlet.drained()
        except TimeoutError:
            log.warning("Not everything owed could be published in time.", action="drain_incomplete")
            return False
        return True
