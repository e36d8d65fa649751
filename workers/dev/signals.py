"""SIGTERM and Ctrl-C while servers of our own start and end: remembered, for neither half may be left undone."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Asked:
    """Whether somebody asked to stop."""

    def __init__(self) -> None:
        self.came = False

    def listen(self) -> None:
        """Takes the signals, from whoever had them before."""
        for number in SIGNALS:
            signal.signal(number, self._note)

    def _note(self, _number: int, _frame: object) -> None:
        self.came = True


@contextmanager
def remembered() -> Iterator[Asked]:
    """Nothing inside is ended by a signal; handlers are as before afterwards."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    asked = Asked()
    asked.listen()
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
