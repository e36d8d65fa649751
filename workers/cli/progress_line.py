"""Says on standard error how far a command is."""

import sys
import time
from typing import Final

from workers.terminal_text import visible

_ON_A_TERMINAL_S: Final = 0.5
_ELSEWHERE_S: Final = 10.0


class Progress:
    """One line that changes on a terminal, elsewhere one every ten seconds."""

    def __init__(self, what: str, total: int | None = None) -> None:
        self._what = what
        self._total = total
        self._terminal = sys.stderr.isatty()
        self._every_s = _ON_A_TERMINAL_S if self._terminal else _ELSEWHERE_S
        self._last = time.monotonic()

    def show(self, count: int, *, end: bool = False) -> None:
        now = time.monotonic()
        if now - self._last < self._every_s and not (end and self._terminal):
            return
        self._last = now
        of = "" if self._total is None else f" of {self._total:,}"
        text = visible(f"{count:,}{of} {self._what}")
        if self._terminal:
            sys.stderr.write(f"\r{text}" + ("\n" if end else ""))
        else:
            sys.stderr.write(text + "\n")
        sys.stderr.flush()
