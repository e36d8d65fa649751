"""What a process of a connector says of itself while it ends."""

import asyncio
import signal
from collections.abc import Callable

from workers.errors import ExitCode
from workers.process.health import Health
from workers.process.program import until_asked
from workers.process.signals import StopSignal


async def test_a_process_that_finishes_its_work_is_not_ready_any_more() -> None:
    asked, health, ready = StopSignal(), Health(), []

    async def work(stop: asyncio.Event, begun: Callable[[], None]) -> None:
        begun()
        ready.append(health.is_ready)
        asked.note(signal.SIGTERM, None)
        await stop.wait()
        await asyncio.sleep(0)
        ready.append(health.is_ready)

    assert await until_asked(work, asked, health) is ExitCode.CLEAN
    assert (ready, health.is_ready) == ([True, False], False)
