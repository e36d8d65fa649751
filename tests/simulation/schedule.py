"""One schedule: a world from a seed, in which workers run, faults happen and end, and the laws are checked."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final
from unittest import mock

import structlog

from tests.simulation import book
from tests.simulation.blows import Fate
from tests.simulation.broker import Broker
from tests.simulation.eventloop import Standstill, VirtualLoop
from tests.simulation.oracle import ENDING, ONCE, REST, Oracle
from tests.simulation.slots import SOUND, Parts, Slot, Stage, at_work
from tests.simulation.world import Broken, World
from workers.errors import ExitCode
from workers.runtime import bad_record_limit
from workers.runtime import loop as engine

Climate = Mapping[str, Any]

AS_IT_IS: Final = Parts()
ANY: Final[Climate] = MappingProxyType({})
REST_WITHIN_S: Final = 1_800.0
STOPS_WITHIN_S: Final = 30.0

# The line in small: it stops after as many bad records as fit into a schedule.
SMALL_LINE: Final[Mapping[str, Any]] = {"BAD_RECORD_LIMIT": 4, "WINDOW": 8}
# And polls are read ahead while a smaller one is applied.
SMALL_POLL: Final = 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one seed. `seen` counts the faults that happened; `events` is how much happened in all."""

    seed: int
    broken: Broken | None
    seen: Counter[str]
    trace: str
    events: int


def run(seed: int, parts: Parts = AS_IT_IS, climate: Climate = ANY) -> Outcome:
    """Runs the schedule of a seed to its end. The same seed does the same, always; `trace` is told if a law broke.

    `climate` sets some of the weather that the seed would draw.
    """
    return _run(seed, parts, climate, lambda world: world.trace() if world.broken else "")


def trace(seed: int, parts: Parts = AS_IT_IS, climate: Climate = ANY) -> Outcome:
    """The same, and everything is told."""
    return _run(seed, parts, climate, World.trace)


def _run(seed: int, parts: Parts, climate: Climate, run_event: Callable[[World], str]) -> Outcome:
    loop = VirtualLoop()
    worlds: list[World] = []
    try:
        small = mock.patch.multiple(bad_record_limit, **SMALL_LINE), mock.patch.object(engine, "_MANY", SMALL_POLL)
        with small[0], small[1], _logging_into(worlds):
            try:
                loop.run_until_complete(_world(seed, parts, climate, worlds))
            except Standstill as still:
                worlds[0].breaks(REST, f"the world stands still: {still}")
            finally:
                _end(loop)
    finally:
        loop.close()
    world = worlds[0]
    return Outcome(seed, world.broken, world.seen, run_event(world), world.events)


def _end(loop: VirtualLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.wait(tasks))


@contextmanager
def _logging_into(worlds: list[World]) -> Iterator[None]:
    """What the engine logs goes into the trace, and nowhere else."""

    def keep(_logger: Any, _method: str, event: Any) -> Any:
        if worlds:
            worlds[0].note(at_work.get(), f"logs {event['action']}")
        raise structlog.DropEvent

    before, configured = structlog.get_config(), structlog.is_configured()
    structlog.configure(processors=[keep], wrapper_class=structlog.make_filtering_bound_logger(0))
    try:
        yield
    finally:
        structlog.configure(**before)
        if not configured:
            structlog.reset_defaults()


async def _world(seed: int, parts: Parts, climate: Climate, worlds: list[World]) -> None:
    world = World(seed, climate)
    worlds.append(world)
    world.loop.set_exception_handler(lambda _loop, context: world.breaks(SOUND, str(context)))
    world.note("world", "begins", world.weather)
    oracle = Oracle(world, book.facts)
    stage = Stage(world, oracle, Broker(world, oracle), parts.database(world, oracle), parts)
    scenario = asyncio.create_task(_Schedule(stage).run())
    over = asyncio.create_task(world.over.wait())
    await asyncio.wait({scenario, over}, return_when=asyncio.FIRST_COMPLETED)
    if not world.broken:
        scenario.result()


class _Schedule:
    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._world = stage.world
        self._slots = [Slot(stage, name) for name in "abc"[: stage.world.weather.workers]]

    async def run(self) -> None:
        for slot in self._slots:
            self._world.spawn(slot.keep())
        producing = asyncio.create_task(self._produce())
        striking = asyncio.create_task(Fate(self._stage, self._slots).run())
        lacking = asyncio.create_task(self._lack())
        await asyncio.sleep(self._world.weather.lasts_s)
        await producing
        striking.cancel()
        lacking.cancel()
        await self._calm()
        await self._rest()
        if not self._world.broken:
            await self._stop()
            self._check()

    async def _produce(self) -> None:
        dice, weather = self._world.dice, self._world.weather
        records = weather.records * weather.partitions
        for _ in range(records):
            if dice.random() < 0.4:
                await asyncio.sleep(dice.random() * 4 * weather.lasts_s / records)
            word = "good"
            for other, probability in (("bad", weather.bad), ("refused", weather.refused), ("moody", weather.moody)):
                if dice.random() < probability:
                    word = other
            for other, probability in (
                ("heavy", weather.heavy),
                ("costly", weather.costly),
                ("deadly", weather.deadly),
            ):
                if probability and dice.random() < probability:
                    word = other
            self._stage.broker.produce(dice.choice(self._stage.broker.sources), word)

    async def _lack(self) -> None:
        """Now and then the database has too little memory for anything."""
        dice, short = self._world.dice, self._world.weather.short
        while short:
            lasts_s = 10 * dice.random()
            self._stage.database.short_until = self._world.now() + lasts_s
            await asyncio.sleep(lasts_s / short)

    async def _calm(self) -> None:
        """Faults end: servers and workers run. A last record everywhere shows a fenced worker that it is fenced."""
        world = self._world
        world.stormy = False
        world.note("world", "calms down")
        self._stage.broker.down_until = self._stage.database.down_until = world.now()
        for slot in self._slots:
            slot.wanted = True
        for source in self._stage.broker.sources:
            self._stage.broker.produce(source, "good")

    async def _rest(self) -> None:
        late = self._world.now() + REST_WITHIN_S
        while waiting_for := self._waiting_for():
            if self._world.now() > late:
                self._world.breaks(REST, "; ".join(waiting_for))
                return
            await asyncio.sleep(0.5)

    def _waiting_for(self) -> list[str]:
        restless = [f"{key} is owed" for key in self._stage.database.outbox]
        if not self._stage.broker.group.published:
            restless.append("the group rebalances")
        restless += ["a worker is away or busy" for slot in self._slots if not slot.at_ease]
        return restless or self._stage.oracle.behind()

    async def _stop(self) -> None:
        """Everybody is asked to stop, in calm weather."""
        for slot in self._slots:
            slot.stop()
        late = self._world.now() + STOPS_WITHIN_S
        while any(slot.process is not None for slot in self._slots):
            if self._world.now() > late:
                self._world.breaks(ENDING, "a worker does not stop")
                return
            await asyncio.sleep(0.5)

    def _check(self) -> None:
        breaks, database = self._world.breaks, self._stage.database
        if any(slot.ending is not ExitCode.CLEAN for slot in self._slots):
            breaks(ENDING, f"not a clean stop: {[repr(slot.ending) for slot in self._slots]}")
        if any(row.lease is not None for row in database.rows.values()):
            breaks(ENDING, "a lease was not given back")
        if undone := [*database.outbox, *self._stage.oracle.behind()]:
            breaks(REST, f"undone: {undone}")
        if not {"rewind", "skip"} & {*self._world.weather.blows}:
            # Once more and simply: what the tables hold is what the topics held, each record once.
            applied = Counter([*database.book, *database.dead])
            records = Counter((s, raw.offset) for s in self._stage.broker.sources for raw in self._stage.broker.log(s))
            if applied != records:
                breaks(ONCE, f"applied but not there {applied - records}, there but not applied {records - applied}")
