"""Runs workers inside a test, over the broker and the database of the test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.brokers import PATIENCE_S, Broker
from workers.app.worker import Wiring, Worker
from workers.errors import ExitCode
from workers.kafka.connection import PollLimits
from workers.runtime.bad_record_limit import NOTHING_ACCEPTED, AcceptedBad
from workers.runtime.ports import Probe, no_probe
from workers.runtime.worker_spec import WorkerSpec
from workers.store.pool import pool_of


class Running:
    """A worker at work. `ending` is the task that runs it."""

    def __init__(self, worker: Worker, ending: "asyncio.Task[ExitCode]") -> None:
        self.worker = worker
        self.ending = ending

    async def stop(self) -> ExitCode:
        """Asks for a clean stop and waits for it."""
        self.worker.stop()
        return await self.ended()

    async def ended(self) -> ExitCode:
        """Waits until the worker ends by itself; raises what it raised."""
        return await asyncio.wait_for(asyncio.shield(self.ending), PATIENCE_S)


@asynccontextmanager
async def running(
    spec: WorkerSpec,
    database: str,
    broker: Broker,
    *,
    limits: PollLimits | None = None,
    probe: Probe = no_probe,
    session_timeout_ms: int | None = None,
    unreachable_after_s: float = 10.0,
    accepted_bad: AcceptedBad = NOTHING_ACCEPTED,
) -> AsyncIterator[Running]:
    """A worker that is consuming when the block begins, and is stopped cleanly when it ends.

    What the worker raises before the block is left is raised at its end, unless the test has already seen it through
    `ended()` or `stop()`.
    """
    await broker.create(*spec.decoders)
    async with pool_of(database, name="test-worker") as pool:
        wiring = Wiring(
            pool=pool,
            kafka=broker.cluster(session_timeout_ms),
            group_prefix=broker.group_prefix,
            limits=limits or PollLimits(wait_ms=100, fetch_max_wait_ms=20),
            unreachable_after_s=unreachable_after_s,
            probe=probe,
            accepted_bad=accepted_bad,
        )
        worker = Worker(spec, wiring)
        ending = asyncio.create_task(worker.run(), name=f"worker {spec.name}")
        ready = asyncio.create_task(worker.consuming.wait())
        await asyncio.wait({ending, ready}, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if ending.done():
            ending.result()
        if not worker.consuming.is_set():
            ending.cancel()
            raise TimeoutError(f"{spec.name} did not begin to consume")
        handle = Running(worker, ending)
        try:
            yield handle
        except BaseException as error:
            if ending.done() and not ending.cancelled() and (cause := ending.exception()) not in (None, error):
                raise AssertionError(f"the worker had ended: {cause!r}") from cause
            raise
        finally:
            seen = ending.done()
            worker.stop()
            await asyncio.wait({ending}, timeout=PATIENCE_S)
            if not ending.done():
                ending.cancel()
        if not seen:
            ending.result()
