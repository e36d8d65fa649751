"""SIGTERM and Ctrl-C: whoever asks a process to stop is heard once; asking again does not change how it ends."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Asked:
    """Whether somebody asked to stop."""

    def __init__(self) -> None:
        self._came = False
        self._told: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def event(self) -> asyncio.Event:
        """Set once somebody asks, or has asked; for the running loop."""
        event = asyncio.Event()
        # In this order: a signal in between is seen by one of the two.
        self._told = asyncio.get_running_loop(), event
        if self._came:
            event.set()
        return event

    def note(self, _number: int, _frame: object) -> None:
        """A signal handler."""
        again, self._came = self._came, True
        if not again and self._told is not None and not self._told[0].is_closed():
            self._told[0].call_soon_threadsafe(self._told[1].set)


@contextmanager
def remembered() -> Iterator[Asked]:
    """For what a whole process does: inside, nothing is ended by a signal; afterwards signals are ignored.

    The handlers of an event loop would not do: it leaves the default ones behind, and by these whoever asks once more
    ends the process before it has said how it ended.
    """
    asked = Asked()
    for number in _SIGNALS:
        signal.signal(number, asked.note)
    try:
        yield asked
    finally:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
