"""How long one thing computed on the event loop without giving way, whoever else uses the machine."""

import asyncio
import gc
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from workers.process.tasks import ended

_TICK_S: Final = 0.002
_LOOK_S: Final = 0.005


class Gaps:
    """`longest_s`: of processor time of this thread, between two turns of a task that always wants one. `at`: where the
    loop stood meanwhile, as often as somebody looked.
    """

    def __init__(self) -> None:
        self.longest_s = 0.0
        self.at: list[tuple[str, int]] = []
        self._seen: Counter[str] = Counter()
        self._over = threading.Event()
        self._loops = threading.get_ident()

    async def tick(self) -> None:
        while True:
            self._seen.clear()
            before = time.thread_time()
            await asyncio.sleep(_TICK_S)
            gap = time.thread_time() - before
            if gap > self.longest_s:
                self.longest_s, self.at = gap, self._seen.most_common(3)

    def look(self) -> None:
        while not self._over.wait(_LOOK_S):
            frame = sys._current_frames().get(self._loops)  # noqa: SLF001 - the documented way
            ours = [f for f, _ in traceback.walk_stack(frame) if "/workers/" in f.f_code.co_filename]
            self._seen[" < ".join(f.f_code.co_name for f in ours[:4])] += 1

    def over(self) -> None:
        self._over.set()


@asynccontextmanager
async def measured() -> AsyncIterator[Gaps]:
    """Watches the running loop while the block is at work.

    The objects of earlier tests are frozen meanwhile, as a worker freezes what it has loaded: a collection of all of
    them takes a quarter of a second, and is not what is measured.
    """
    gaps = Gaps()
    gc.collect()
    gc.freeze()
    ticking = asyncio.create_task(gaps.tick(), name="gaps")
    threading.Thread(target=gaps.look, daemon=True).start()
    try:
        yield gaps
    finally:
        gaps.over()
        await ended(ticking)
        gc.unfreeze()
