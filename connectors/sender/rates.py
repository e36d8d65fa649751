"""Rates of channels: calls begin at even intervals."""

import asyncio


class Rate:
    """At most `per_second` turns a second; without a number every turn is at once."""

    def __init__(self, per_second: float | None) -> None:
        self._interval_s = 1.0 / per_second if per_second else 0.0
        self._next = 0.0

    async def turn(self) -> None:
        """Returns when it is the caller's turn. Turns come in the order of the callers."""
        if not self._interval_s:
            return
        now = asyncio.get_running_loop().time()
        mine = max(now, self._next)
        self._next = mine + self._interval_s
        await asyncio.sleep(mine - now)
