"""An asyncio event loop whose time is a number: when nothing is ready, it jumps to the next timer.

No thread, no socket, no clock: what runs on it depends on its program alone.
"""

import asyncio
from typing import Any, Final

MOST_TURNS: Final = 500_000
"""A schedule takes some thousands: who takes so many goes round in circles."""


class Standstill(Exception):  # noqa: N818 - a state of the simulated world
    """Nothing will ever happen again, or always the same."""


class VirtualLoop(asyncio.BaseEventLoop):
    """`time()` begins at 0 and is in seconds, as everywhere in asyncio."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._turns = 0
        # asyncio asks its selector to wait for input or output until the next timer: waiting is all that is done here.
        self._selector = self

    def time(self) -> float:
        return self._now

    def select(self, timeout: float | None) -> list[Any]:
        self._turns += 1
        if timeout is None:
            raise Standstill("nothing is ready, and no timer is set")
        if self._turns > MOST_TURNS:
            raise Standstill("it goes round in circles")
        self._now += timeout
        return []

    def _process_events(self, events: list[Any]) -> None:
        """There is neither input nor output."""

    def _write_to_self(self) -> None:
        """No other thread could have to be woken."""
