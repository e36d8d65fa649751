"""SIGTERM and Ctrl-C: the first one asks the process to stop; further ones change nothing."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class StopSignal:
    """Whether a stop was requested."""

    def __init__(self) -> None:
        self._came = False
        self._told: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def event(self) -> asyncio.Event:
        """An event of the running loop that is set once a stop is requested, also if that was earlier."""
        event = asyncio.Event()
        # Keep this order: one of the two sees a signal that arrives in between.
        self._told = asyncio.get_running_loop(), event
        if self._came:
            event.set()
        return event

    def note(self, _number: int, _frame: object) -> None:
        """Handles a signal."""
        again, self._came = self._came, True
        if not again and self._told is not None and not self._told[0].is_closed():
            self._told[0].call_soon_threadsafe(self._told[1].set)


@contextmanager
def remembered() -> Iterator[StopSignal]:
    """Handles signals for a whole process: inside, no signal ends it; afterwards signals are ignored.

    The handlers of an event loop are not enough. When the loop closes it restores the default handlers, and a second
    signal would end the process before it has logged how it ended.
    """
    asked = StopSignal()
    for number in _SIGNALS:
        signal.signal(number, asked.note)
    try:
        yield asked
    finally:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
