"""Rates of channels: calls begin at even intervals."""

import asyncio
from collections.abc import Callable


class Rate:
    """At most `per_second` turns a second; without a number every turn is at once."""

    def __init__(self, per_second: float | None) -> None:
        self._interval_s = 1.0 / per_second if per_second else 0.0
        self._next = 0.0
        self._queue = asyncio.Lock()

    async def turn(self, wanted: Callable[[], bool]) -> bool:
        """Waits for the caller's turn, in the order of the callers. False, and the turn is the next caller's, if it is
        not wanted any more.
        """
        if not self._interval_s:
            return wanted()
        async with self._queue:
            if not wanted():
                return False
            now = asyncio.get_running_loop().time()
            mine = max(now, self._next)
            await asyncio.sleep(mine - now)
            if not wanted():
                return False
            self._next = mine + self._interval_s
            return True
