"""Slots for workers: a worker that ends is started again, as an orchestrator would."""

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from tests.simulation.book import spec
from tests.simulation.broker import Broker
from tests.simulation.database import Database
from tests.simulation.oracle import Oracle
from tests.simulation.ports import SimInput, SimLedger, SimOutput
from tests.simulation.world import Process, World
from workers.errors import ExitCode
from workers.process.tasks import ended
from workers.runtime.lanes import Lanes
from workers.runtime.loop import Loop

SOUND: Final = "the simulation itself is sound"

at_work: ContextVar[str] = ContextVar("at_work", default="")
"""Whose task is running; for the trace."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a schedule is made of; a planted bug is another part."""

    loop: type[Loop] = Loop
    database: type[Database] = Database
    ledger: type[SimLedger] = SimLedger


@dataclass(frozen=True, slots=True)
class Stage:
    """The servers, and what workers are made of."""

    world: World
    oracle: Oracle
    broker: Broker
    database: Database
    parts: Parts


class Slot:
    """A place for one worker, as long as it is wanted."""

    def __init__(self, stage: Stage, name: str) -> None:
        self.wanted = True
        self.process: Process | None = None
        self.ending: ExitCode | BaseException | None = None
        self._stage = stage
        self._world = stage.world
        self._name = name
        self._runs = 0
        self._input: SimInput | None = None
        self._output: SimOutput | None = None

    @property
    def at_ease(self) -> bool:
        """Its worker is there, and has nothing to do."""
        if self.process is None or self._input is None or self._output is None:
            return False
        return self.process.awake and self._input.at_ease and self._output.at_ease

    async def keep(self) -> None:
        while True:
            if self.wanted:
                self._runs += 1
                await self._live(Process(self._world, f"{self._name}{self._runs}"))
            await asyncio.sleep(0.05 + self._world.dice.random() * 3)

    def stop(self) -> None:
        """Asks the worker to stop, as SIGTERM does."""
        self.wanted = False
        if self.process is not None and self._input is not None:
            self._world.note(self.process.name, "is asked to stop")
            self._input.stop_polling()

    async def _live(self, process: Process) -> None:
        at_work.set(process.name)
        self._world.note(process.name, "starts")
        self.process, self._input = process, SimInput(self._stage.broker, process)
        working = asyncio.create_task(self._work(process, self._input))
        process.tasks.append(working)
        await asyncio.wait({working})
        self.process = None
        self.ending = None
        if not working.cancelled():
            self.ending = working.exception() or working.result()
            if not process.dead:
                self._ends(process, self.ending)
        elif not process.dead:
            self._world.breaks(SOUND, f"{process.name} was cancelled by nobody")

    def _ends(self, process: Process, ending: ExitCode | BaseException) -> None:
        self._stage.oracle.ends(process, ending)
        if ending is ExitCode.STOPPED_THE_LINE:
            self._stage.oracle.accept()

    async def _work(self, process: Process, input_: SimInput) -> ExitCode:
        stage = self._stage
        accepted = stage.oracle.accepted_by[process.name] = dict(stage.oracle.accepted)
        lanes = Lanes(input_, stage.world.weather.lanes, stage.world.weather.high_load)
        ledgers = [stage.parts.ledger(stage.database, process) for _ in lanes.all]
        output = self._output = SimOutput(stage.broker, process)
        loops = [
            stage.parts.loop(spec(), lane, output, ledger, process.step, accepted)
            for lane, ledger in zip(lanes.all, ledgers, strict=True)
        ]
        coordinating: asyncio.Task[None] | None = None
        try:
            for ledger in ledgers:
                await ledger.open()
            coordinating = asyncio.create_task(input_.coordinate())
            coordinating.add_done_callback(self._coordinated)
            process.tasks.append(coordinating)
            return await lanes.run(loops)
        finally:
            await ended(coordinating)
            if not process.dead:
                input_.stop()
                for ledger in ledgers:
                    ledger.close()

    def _coordinated(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._world.breaks(SOUND, f"membership ended with {error!r}")
