"""Measures how long the event loop was blocked, and by what. While it is blocked nothing else runs in the process: no
heartbeat, no publishing, no other worker.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from workers.process.forced_exit import end_process, where
from workers.process.health import Health
from workers.process.metrics.of_processes import LOOP_BLOCKED, LOOP_LAG
from workers.process.tasks import ended

TICK_S: Final = 0.05
WARN_AFTER_S: Final = 1.0
GIVE_UP_AFTER_S: Final = 180.0
"""Equal to `STALLED_AFTER_S`, the longest time that a worker may go without a poll. The watchdog of a worker runs on
the event loop, so it cannot act while the loop is blocked.
"""
_LOOK_EVERY_S: Final = 0.25

log = structlog.get_logger()


@asynccontextmanager
async def watched(health: Health | None = None, give_up_after_s: float = GIVE_UP_AFTER_S) -> AsyncIterator[None]:
    """Watches the running loop while the body of `async with` runs. Measures delays of at least `TICK_S`, logs those of
    at least `WARN_AFTER_S`, and ends the process when the loop was blocked for `give_up_after_s`. `health` hears of
    each turn.
    """
    watch = _Watch(give_up_after_s)
    LOOP_LAG.set_function(watch.silent_s)
    if health is not None:
        health.beats(watch.silent_s)
    ticking = asyncio.create_task(watch.tick(), name="loop-watch")
    threading.Thread(target=watch.watch, name="loop-watch", daemon=True).start()
    try:
        yield
    finally:
        LOOP_LAG.set_function(lambda: 0.0)
        if health is not None:
            health.beats(None)
        watch.stopped.set()
        await ended(ticking)


class _Watch:
    """`tick` runs on the loop, `watch` in a thread. Each attribute is written by one of them only."""

    def __init__(self, give_up_after_s: float) -> None:
        self.stopped = threading.Event()
        self._give_up_after_s = give_up_after_s
        self._loop_thread = threading.get_ident()
        self._ticks = 0
        self._ticked_at = time.monotonic()
        self._seen: tuple[int, list[str]] = (-1, [])
        """The tick at which the loop was found blocked, and the stack of its thread at that time."""

    def silent_s(self) -> float:
        """For how long the loop should have had another turn, in seconds. May be called from any thread."""
        return max(0.0, time.monotonic() - self._ticked_at - TICK_S)

    async def tick(self) -> None:
        while True:
            due, cpu = time.monotonic() + TICK_S, time.thread_time()
            await asyncio.sleep(TICK_S)
            late = time.monotonic() - due
            if late >= TICK_S:
                LOOP_BLOCKED.observe(late)
            if late >= WARN_AFTER_S:
                self._warn(late, time.thread_time() - cpu)
            self._ticks += 1
            self._ticked_at = time.monotonic()

    def _warn(self, late: float, cpu: float) -> None:
        tick, stack = self._seen
        log.warning(
            f"The event loop was blocked for {late:.1f} s.",
            action="loop_blocked",
            seconds=round(late, 3),
            # CPU time of the loop's thread. A small value means that the thread waited: for blocking I/O or a lock,
            # for a busy machine, or because the process was paused.
            cpu_s=round(cpu, 3),
            where=stack if tick == self._ticks else [],
        )

    def watch(self) -> None:
        """Measures by its own rounds, not by the clock. A paused process runs no rounds, so a pause does not count as a
        blocked loop.
        """
        last, blocked = -1, 0.0
        while not self.stopped.wait(_LOOK_EVERY_S):
            tick = self._ticks
            blocked = blocked + _LOOK_EVERY_S if tick == last else 0.0
            last = tick
            if blocked >= WARN_AFTER_S - _LOOK_EVERY_S and self._seen[0] != tick:
                self._seen = tick, where(self._loop_thread)
            if blocked >= self._give_up_after_s:
                sentence = (
                    f"The event loop has been blocked for {blocked:.0f} s. The process ends now, without a clean stop."
                )
                end_process(sentence, "stalled", self._loop_thread)
