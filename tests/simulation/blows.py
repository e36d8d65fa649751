"""Faults of the simulated world: processes, members, servers, clocks, and operators."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Final

from tests.simulation.database import Session
from tests.simulation.slots import Slot, Stage
from tests.simulation.world import BLOWS, Death, Process
from workers.store.failures import ConnectionLost

MOST_SLOTS: Final = 4


class Fate:
    """Strikes at random moments until it is cancelled; `slots` are those of the schedule."""

    def __init__(self, stage: Stage, slots: list[Slot]) -> None:
        self._stage = stage
        self._world = stage.world
        self._slots = slots
        self._blows: Mapping[str, Callable[[], None]] = dict(
            zip(
                BLOWS,
                (
                    lambda: self._die(Death.KILLED),
                    lambda: self._die(Death.LOST),
                    self._pause,
                    self._leave,
                    self._join,
                    stage.broker.group.rebalance,
                    self._evict,
                    self._restart_broker,
                    self._restart_database,
                    self._end_connection,
                    self._jump,
                    lambda: self._place(-1),
                    lambda: self._place(1),
                ),
                strict=True,
            )
        )

    async def run(self) -> None:
        weather, dice = self._world.weather, self._world.dice
        while weather.blows:
            await asyncio.sleep(dice.expovariate(1 / weather.between_blows_s))
            blow = dice.choice(weather.blows)
            self._world.note("fate", blow)
            self._world.count(blow)
            self._blows[blow]()

    def _any(self) -> Process | None:
        living = [slot.process for slot in self._slots if slot.process is not None]
        return self._world.dice.choice(living) if living else None

    def _die(self, death: Death) -> None:
        if (process := self._any()) is not None:
            process.die("anywhere", death)

    def _pause(self) -> None:
        if (process := self._any()) is not None:
            process.pause("anywhere")

    def _leave(self) -> None:
        slot = self._world.dice.choice(self._slots)
        slot.stop()
        self._world.loop.call_later(self._world.dice.random() * 10, self._want, slot)

    def _want(self, slot: Slot) -> None:
        if self._world.stormy:
            slot.wanted = True

    def _join(self) -> None:
        if len(self._slots) < MOST_SLOTS:
            slot = Slot(self._stage, "abcd"[len(self._slots)])
            self._slots.append(slot)
            self._world.spawn(slot.keep())

    def _evict(self) -> None:
        group = self._stage.broker.group
        if group.members:
            group.evict(self._world.dice.choice(group.members))

    def _restart_broker(self) -> None:
        down_s = self._world.dice.choice((1.0, 5.0, 20.0, 90.0)) * self._world.dice.random()
        self._stage.broker.down_until = self._world.now() + down_s

    def _restart_database(self) -> None:
        self._stage.database.restart(self._world.dice.choice((1.0, 5.0, 70.0)) * self._world.dice.random())

    def _end_connection(self) -> None:
        if self._stage.database.sessions:
            self._world.dice.choice(self._stage.database.sessions).end()

    def _jump(self) -> None:
        self._stage.database.skew += timedelta(hours=self._world.dice.choice((-30, -1, 1, 30)))

    def _place(self, direction: int) -> None:
        self._world.spawn(self._placing(direction))

    async def _placing(self, direction: int) -> None:
        database, dice = self._stage.database, self._world.dice
        source = dice.choice(self._stage.broker.sources)
        known = database.rows[source].next_offset if source in database.rows else None
        if known is None:
            return
        to = dice.randint(0, known) if direction < 0 else dice.randint(known, self._stage.broker.end(source))
        session = Session(database, Process(self._world, "operator"))
        session.begin()
        with suppress(ConnectionLost):
            await database.place(session, source, known, to)
            database.commit(session)
        session.end()
