"""The engine's loop, the same for every worker. The order is the promise; the code repeats the numbers.

    1. poll           records of the partitions whose leases we hold, bounded in number and bytes
    2. decode         in slices; what cannot be understood becomes a dead letter
    3. fence          one transaction begins: compare-and-set on the progress rows, by lease and first offset
    4. apply          the worker loads, decides and saves
    5. owe            outputs and dead letters are stored in the same transaction
    6. COMMIT         the records are applied, once
    7. publish        what is owed, in order; acknowledgements are awaited
    8. commit offsets in Kafka: published through
    9. settle         what is published is forgotten, with the next transaction or once it is quiet

While the transaction of poll n runs (3 to 6), poll n-1 is published (7, 8), and if poll n is large, poll n+1 is read
and decoded (1, 2). A crash anywhere loses nothing: before 6 the records are read again, after 6 the next owner finds
what is owed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, TypeVar, assert_never

import structlog

from workers.errors import ExitCode, Unreachable
from workers.runtime.applying import MOST_LOST_CONNECTIONS, Applied, Applier
from workers.runtime.batch import Source, WorkerSpec
from workers.runtime.handover import HandOver
from workers.runtime.intake import Part, Position, continued, decode
from workers.runtime.line import NOTHING_ACCEPTED, AcceptedBad, last_words, remember
from workers.runtime.outlet import Outlet
from workers.runtime.patience import Room
from workers.runtime.ports import Assigned, Event, Idle, Input, Ledger, Output, Probe, Records, Revoked, Stopping
from workers.runtime.takeover import TakeOver
from workers.runtime.tasks import ended, unless_failed
from workers.store.failures import ConnectionLost, Exhausted

log = structlog.get_logger()
T = TypeVar("T")
_QUIET_S: Final = 0.02
_MANY: Final = 200
Fetched = tuple[Event, Sequence[Part]]


class Loop:
    """One worker's loop over its ports; `run` once."""

    def __init__(
        self,
        spec: WorkerSpec,
        input_: Input,
        output: Output,
        ledger: Ledger,
        probe: Probe,
        accepted: AcceptedBad = NOTHING_ACCEPTED,
        unreachable_after_s: float = 60.0,
    ) -> None:
        self._decoders = spec.decoders
        self._input = input_
        self._ledger = ledger
        self._probe = probe
        self._outlet = Outlet(input_, output, probe)
        self._applier = Applier(spec, ledger, probe, accepted, unreachable_after_s)
        self._take_over = TakeOver(input_, output, ledger, probe)
        self._hand_over = HandOver(self._outlet, ledger, probe)
        self._unreachable_after_s = unreachable_after_s
        self._positions: dict[Source, Position] = {}

    async def run(self) -> ExitCode:
        """Works until it is asked to stop, stops the line, or is fenced.

        Raises:
            SluiceError: it cannot go on; what is committed stays, and what is owed is published by the next owner.
        """
        publishing = asyncio.create_task(self._outlet.run(), name="outlet")
        fetching: asyncio.Task[Fetched] | None = None
        ahead: asyncio.Task[Fetched] | None = None
        try:
            while True:
                fetching = ahead or asyncio.create_task(self._fetch(), name="fetch")
                await unless_failed(self._settle_while_quiet(fetching), publishing)
                event, parts = await unless_failed(fetching, publishing)
                ahead = asyncio.create_task(self._fetch(), name="fetch") if _worth_overlapping(parts) else None
                ending = await unless_failed(self._handle(event, parts), publishing)
                if ending is not None:
                    return ending
        finally:
            await ended(publishing, fetching, ahead)

    async def _fetch(self) -> Fetched:
        # 1. poll
        event = await self._input.next()
        if not isinstance(event, Records):
            return event, ()
        await self._probe("polled")
        # 2. decode
        return event, await decode(self._decoders, event.slices)

    async def _handle(self, event: Event, parts: Sequence[Part]) -> ExitCode | None:
        match event:
            case Records():
                return await self._apply(parts) if self._input.is_current(event.assignment) else None
            case Idle():
                pass
            case Assigned():
                self._positions = await self._reconnecting(lambda: self._take_over(event))
            case Revoked():
                await self._let_go()
                event.handed_over.set()
            case Stopping():
                return ExitCode.CLEAN if await self._let_go() else ExitCode.FAULT
            case _:
                assert_never(event)
        return None

    async def _apply(self, parts: Sequence[Part]) -> ExitCode | None:
        parts = continued(parts, self._positions)
        if not parts:
            return None
        await self._outlet.room()
        settled = self._outlet.settled()
        # 3. fence  4. apply  5. owe  6. COMMIT
        applied = await self._applier.apply(parts, self._positions, settled)
        await self._probe("committed")
        if not applied.parts:
            self._outlet.unsettle(settled)
        self._advance(applied)
        # 7. publish  8. commit offsets: the outlet's task
        await self._outlet.put(applied.effects.owed, {part.source: part.end for part in applied.parts})
        return await self._verdict(applied)

    def _advance(self, applied: Applied) -> None:
        for source in applied.lost:
            del self._positions[source]
        self._outlet.drop(applied.lost)
        for part in applied.parts:
            bad = [letter.raw.offset for letter in applied.effects.dead if letter.source == part.source]
            known = self._positions[part.source].bad
            self._positions[part.source] = Position(part.end, None, remember(known, bad, part.end))

    async def _verdict(self, applied: Applied) -> ExitCode | None:
        if not applied.halted and not applied.lost:
            return None
        for source, offset in applied.halted.items():
            log.error(last_words(source, offset), action="line_stopped")
        await self._let_go()
        return ExitCode.STOPPED_THE_LINE if applied.halted else ExitCode.FENCED

    async def _let_go(self) -> bool:
        self._positions = {}
        return await self._hand_over()

    async def _settle_while_quiet(self, fetching: "asyncio.Task[Fetched]") -> None:
        """Forgets what is published while nothing else is to do: others repeat what they think is owed still."""
        while not self._outlet.idle:
            await asyncio.wait({fetching}, timeout=_QUIET_S)
            if fetching.done():
                return
            if keys := self._outlet.settled():
                # 9. settle
                await self._reconnecting(partial(self._ledger.settle, keys))
                await self._probe("settled")

    async def _reconnecting(self, work: Callable[[], Awaitable[T]]) -> T:
        lost = 0
        room = Room(self._unreachable_after_s)
        while True:
            try:
                return await work()
            except Exhausted as full:
                await room.wait(full)
                await self._ledger.reconnect()
            except ConnectionLost as gone:
                lost += 1
                log.warning("The connection to PostgreSQL was lost; trying again.", action="connection_lost")
                if lost > MOST_LOST_CONNECTIONS:
                    raise Unreachable(f"every attempt loses its connection to PostgreSQL: {gone}") from gone
                await self._ledger.reconnect()


def _worth_overlapping(parts: Sequence[Part]) -> bool:
    """Few records are decoded in less time than a statement takes, and what is read too early only waits."""
    return sum(len(part.raw) for part in parts) >= _MANY
