"""One worker in one process: its ports, its loop, and the watchdog beside it."""

import asyncio
import gc
import os
import socket
from dataclasses import dataclass, field
from typing import Final

import structlog
from asyncpg import Pool

from workers.errors import ExitCode, Stalled
from workers.runtime.batch import WorkerSpec
from workers.runtime.connection import Kafka, PollLimits
from workers.runtime.consumer import KafkaInput
from workers.runtime.lanes import Lane, Lanes
from workers.runtime.line import AcceptedBad
from workers.runtime.loop import Loop
from workers.runtime.ports import Probe, no_probe
from workers.runtime.producer import KafkaOutput
from workers.runtime.tasks import ended
from workers.store.ledger import PostgresLedger

STALLED_AFTER_S: Final = 180.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Wiring:
    """What a worker runs against. `group_prefix` and the worker's name make the consumer group."""

    pool: Pool
    kafka: Kafka
    group_prefix: str = "sluice"
    limits: PollLimits = field(default_factory=PollLimits)
    unreachable_after_s: float = 60.0
    stalled_after_s: float = STALLED_AFTER_S
    probe: Probe = no_probe
    accepted_bad: AcceptedBad = field(default_factory=dict)


class Worker:
    """A worker that can be run once and asked to stop."""

    def __init__(self, spec: WorkerSpec, wiring: Wiring) -> None:
        self.spec = spec
        self.name = spec.name
        self.group = f"{wiring.group_prefix}-{spec.name}"
        self._wiring = wiring
        self._input = KafkaInput(
            wiring.kafka, self.group, sorted(spec.decoders), wiring.limits, wiring.unreachable_after_s
        )
        self._output = KafkaOutput(wiring.kafka, self.group, unreachable_after_s=wiring.unreachable_after_s)
        self._lanes = Lanes(self._input, spec.lanes)
        owner = f"{socket.gethostname()}/{os.getpid()}/{spec.name}"
        self._ledgers = [
            PostgresLedger(
                wiring.pool,
                self.group,
                owner,
                unreachable_after_s=wiring.unreachable_after_s,
                probe=wiring.probe,
            )
            for _ in self._lanes.all
        ]

    @property
    def consuming(self) -> asyncio.Event:
        """Set once the first assignment has been taken over."""
        return self._lanes.taken_over

    async def run(self) -> ExitCode:
        """Works until `stop`, or until the loop ends by itself.

        Raises:
            SluiceError: see the loop.
        """
        watchdog: asyncio.Task[None] | None = None
        try:
            for ledger in self._ledgers:
                await ledger.open()
            await self._output.start()
            await self._input.start()
            watchdog = asyncio.create_task(self._watch(), name="watchdog")
            loops = [self._loop(*pair) for pair in zip(self._lanes.all, self._ledgers, strict=True)]
            running = asyncio.create_task(self._lanes.run(loops), name=f"loop {self.spec.name}")
            try:
                await asyncio.wait({running, watchdog}, return_when=asyncio.FIRST_COMPLETED)
                if watchdog.done():
                    watchdog.result()
                return await running
            finally:
                await ended(running)
        finally:
            await ended(watchdog)
            await self._input.stop()
            await self._output.stop()
            for ledger in self._ledgers:
                await ledger.close()

    def stop(self) -> None:
        """Asks for a clean stop: what is in flight is finished, published and committed first."""
        self._input.stop_polling()

    def _loop(self, lane: Lane, ledger: PostgresLedger) -> Loop:
        wiring = self._wiring
        return Loop(
            self.spec, lane, self._output, ledger, wiring.probe, wiring.accepted_bad, wiring.unreachable_after_s
        )

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._wiring.stalled_after_s / 10)
            silent = asyncio.get_running_loop().time() - self._input.polled_at
            if silent > self._wiring.stalled_after_s:
                raise Stalled(f"{self.spec.name} has not polled for {silent:.0f} s")


def tune_garbage_collection() -> None:
    """What is loaded by now lives as long as the process; young garbage is collected in larger portions."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
