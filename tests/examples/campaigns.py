"""The DBOS example as a process."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tests.support.brokers import PATIENCE_S, Broker

ROOT: Final = Path(__file__).parents[2]


class Campaign:
    """A process of the example; `lines` are what it printed so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(line.decode().rstrip())

    @property
    def steps(self) -> list[int]:
        return [int(line.split()[1]) for line in self.lines if line.startswith("step ")]

    async def until_step(self, number: int) -> None:
        """Waits until that step was taken."""
        async with asyncio.timeout(PATIENCE_S):
            while number not in self.steps:
                assert self.process.returncode is None, self.lines
                await asyncio.sleep(0.01)

    async def ended(self) -> int:
        """Waits until it ends by itself; its exit code."""
        async with asyncio.timeout(PATIENCE_S):
            await self._reading
            return await self.process.wait()

    async def kill(self) -> None:
        """An end without warning."""
        if self.process.returncode is None:
            self.process.kill()
        await self._reading
        await self.process.wait()


@asynccontextmanager
async def campaign(database: str, broker: Broker, *arguments: str, **settings: Any) -> AsyncIterator[Campaign]:
    """The example, started with these arguments; it has ended when the block ends."""
    told = {
        "DATABASE_URL": database,
        "KAFKA_BOOTSTRAP": broker.bootstrap,
        "TOPIC_PREFIX": broker.topic_prefix,
        "GROUP_PREFIX": broker.group_prefix,
        "SESSION_TIMEOUT_MS": 6_000,
        "FETCH_MAX_WAIT_MS": 20,
        "LOG_FORMAT": "console",
    } | settings
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    running = Campaign(
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-m", "examples.dbos", *arguments),
            cwd=ROOT,
            env=environment | {f"SLUICE_{name}": str(value) for name, value in told.items()},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    )
    try:
        yield running
    finally:
        await running.kill()
