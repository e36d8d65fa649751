"""Ends a process that does not stop by itself. It does so from a thread, because the event loop may be blocked.

A crash is safe at any point (docs/delivery.md), so an end without clean-up loses nothing.
"""

import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from workers.errors import ExitCode

ENDS_WITHIN_S: Final = 29.0
"""Seconds after SIGTERM: longer than a clean stop takes (see the supervisor), less than the promised 30 s."""
_WITHOUT_A_WORD_S: Final = 0.5
"""Seconds to wait for the last log line: standard error may be a pipe that nobody reads."""
_FRAMES: Final = 12
_ASKS: Final = frozenset({signal.SIGTERM, signal.SIGINT})

log = structlog.get_logger()


def where(thread: int) -> list[str]:
    """The stack of a thread as `file:line function`, innermost first. Never values: they may be personal data."""
    frame = sys._current_frames().get(thread)  # noqa: SLF001 - the documented way
    if frame is None:
        return []
    found = list(traceback.walk_stack(frame))[:_FRAMES]
    return [f"{shown.f_code.co_filename}:{line} {shown.f_code.co_name}" for shown, line in found]


def end_process(sentence: str, action: str, thread: int) -> None:
    """Logs the sentence with the stack of the given thread, and ends the process with the exit code of a fault."""
    standing = where(thread)
    telling = threading.Thread(target=lambda: log.error(sentence, action=action, where=standing), daemon=True)
    telling.start()
    telling.join(_WITHOUT_A_WORD_S)
    os._exit(ExitCode.FAULT)


@contextmanager
def ends_within(seconds: float) -> Iterator[None]:
    """Ends the process at most `seconds` after SIGTERM or SIGINT, whatever its main thread does inside the block.

    Python runs a signal handler only when the main thread is back in Python code. So this listens to the descriptor
    that the interpreter writes to from the real handler. Use it in the main thread, and where these signals have
    handlers. It cannot interrupt one C call that keeps the interpreter lock; no code here keeps it for seconds.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    over = threading.Event()
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    arguments = (reading, seconds, over, threading.get_ident())
    waiting = threading.Thread(target=_wait, args=arguments, name="forced exit", daemon=True)
    waiting.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        over.set()
        os.close(writing)
        waiting.join()
        os.close(reading)


def _wait(reading: int, seconds: float, over: threading.Event, main: int) -> None:
    while numbers := os.read(reading, 64):
        if not _ASKS.isdisjoint(numbers):
            break
    else:
        return
    if not over.wait(seconds):
        sentence = f"Still not stopped {seconds:g} s after being asked to: the process ends as it is."
        end_process(sentence, "stop_forced", main)
