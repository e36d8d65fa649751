"""Processes of the ledger book's worker, each `python -m tests.runtime.bookworker`."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tests.support.brokers import Broker

SESSION_MS: Final = 6_000
ROOT: Final = Path(__file__).resolve().parents[2]

Start = Callable[[], Awaitable[asyncio.subprocess.Process]]


@asynccontextmanager
async def book_processes(database: str, kafka: Broker, poll_records: int) -> AsyncIterator[Start]:
    """Starts worker processes; whatever is left of them at the end is killed."""
    told = {
        "SLUICE_DATABASE_URL": database,
        "SLUICE_KAFKA_BOOTSTRAP": kafka.bootstrap,
        "SLUICE_TOPIC_PREFIX": kafka.topic_prefix,
        "SLUICE_GROUP_PREFIX": kafka.group_prefix,
        "SLUICE_SESSION_TIMEOUT_MS": str(SESSION_MS),
        "SLUICE_POLL_RECORDS": str(poll_records),
        "SLUICE_LOG_LEVEL": "error",
    }
    started = []

    async def one() -> asyncio.subprocess.Process:
        command = (sys.executable, "-m", "tests.runtime.bookworker")
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=os.environ | told)
        started.append(process)
        return process

    try:
        yield one
    finally:
        for process in started:
            if process.returncode is None:
                process.kill()
            await process.wait()
