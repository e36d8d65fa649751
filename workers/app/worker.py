"""One worker in one process: its ports, its loop, and the watchdog beside it."""

import asyncio
import os
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final

import structlog
from asyncpg import Pool

from workers.errors import ExitCode, Stalled
from workers.kafka.connection import Kafka, PollLimits
from workers.kafka.consumer import KafkaInput
from workers.kafka.producer import KafkaOutput
from workers.process.tasks import ended
from workers.runtime.bad_record_limit import AcceptedBad
from workers.runtime.lanes import Lane, Lanes
from workers.runtime.ledger import PostgresLedger
from workers.runtime.loop import Loop
from workers.runtime.poll_size import PollSize
from workers.runtime.ports import Probe, no_probe
from workers.runtime.worker_spec import WorkerSpec

STALLED_AFTER_S: Final = 180.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Wiring:
    """What a worker is connected to. `group_prefix` and the worker's name make the consumer group."""

    pool: Pool
    kafka: Kafka
    group_prefix: str = "sluice"
    limits: PollLimits = field(default_factory=PollLimits)
    unreachable_after_s: float = 60.0
    stalled_after_s: float = STALLED_AFTER_S
    probe: Probe = no_probe
    accepted_bad: AcceptedBad = field(default_factory=dict)

    def group_of(self, spec: WorkerSpec) -> str:
        """The consumer group of that worker."""
        return f"{self.group_prefix}-{spec.name}"


class Worker:
    """A worker that can be run once and asked to stop."""

    def __init__(self, spec: WorkerSpec, wiring: Wiring) -> None:
        self.spec = spec
        self.name = spec.name
        self.group = wiring.group_of(spec)
        self._wiring = wiring
        self._size = PollSize(wiring.limits.records)
        self._input = KafkaInput(
            wiring.kafka,
            self.group,
            sorted(spec.decoders),
            wiring.limits,
            wiring.unreachable_after_s,
            self._size,
        )
        self._output = KafkaOutput(wiring.kafka, spec.name, unreachable_after_s=wiring.unreachable_after_s)
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
        """Set once the first assignment is taken over."""
        return self._lanes.taken_over

    def obstacles(self) -> list[str]:
        """That the group has not assigned its partitions yet, if so: see `Health`."""
        return [] if self._lanes.settled else [f"{self.name} waits for its partitions"]

    async def run(self) -> ExitCode:
        """Works until `stop`, or until the loop ends by itself.

        Raises:
            SluiceError: see the loop.
        """
        structlog.contextvars.bind_contextvars(worker=self.name)  # for this task and those it starts
        async with AsyncExitStack() as closing:  # closes each one, even if another one is abandoned
            for ledger in self._ledgers:
                closing.push_async_callback(ledger.close)
                await ledger.open()
            closing.push_async_callback(self._output.stop)
            await self._output.start()
            closing.push_async_callback(self._input.stop)
            await self._input.start()
            loops = [self._loop(*pair) for pair in zip(self._lanes.all, self._ledgers, strict=True)]
            watchdog = asyncio.create_task(self._watch(loops), name="watchdog")
            closing.push_async_callback(ended, watchdog)
            running = asyncio.create_task(self._lanes.run(loops), name=f"loop {self.spec.name}")
            closing.push_async_callback(ended, running)
            await asyncio.wait({running, watchdog}, return_when=asyncio.FIRST_COMPLETED)
            if watchdog.done():
                watchdog.result()
            return await running

    def stop(self) -> None:
        """Requests a clean stop: finishes, publishes and commits what is in flight first."""
        self._input.stop_polling()

    def _loop(self, lane: Lane, ledger: PostgresLedger) -> Loop:
        wiring = self._wiring
        return Loop(
            self.spec,
            lane,
            self._output,
            ledger,
            wiring.probe,
            wiring.accepted_bad,
            wiring.unreachable_after_s,
            self._size,
        )

    async def _watch(self, loops: Sequence[Loop]) -> None:
        while True:
            await asyncio.sleep(self._wiring.stalled_after_s / 10)
            # A poll that is applied in many portions takes its time.
            alive_at = max(self._input.polled_at, *(loop.moved_at for loop in loops))
            silent = asyncio.get_running_loop().time() - alive_at
            if silent > self._wiring.stalled_after_s:
                raise Stalled(f"{self.spec.name} has not polled for {silent:.0f} s")
