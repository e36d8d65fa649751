"""The engine's loop, the same for every worker. The order is the guarantee; the code repeats the numbers.

    1. poll           records of the partitions whose leases we hold, bounded in number and bytes
    2. decode         in slices; a poison record becomes a dead letter
    3. fence          a transaction begins: compare-and-set on the progress rows, by lease and first offset
    4. apply          the worker loads, decides and saves
    5. outbox         outputs and dead letters are stored in the same transaction
    6. COMMIT         the records are applied, once
    7. publish        the outbox rows, in order; acknowledgements are awaited
    8. commit offsets in Kafka: published through
    9. delete         published outbox rows, with the next transaction or once the input is quiet

While the transaction of poll n runs (3 to 6), poll n-1 is published (7, 8), and if poll n is large, poll n+1 is read
and decoded (1, 2). A crash loses nothing: before 6 the records are read again, after 6 the next owner publishes the
outbox.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, TypeVar, assert_never

import structlog

from workers.errors import ExitCode, Unreachable
from workers.process.metrics.of_workers import DECODE, POLL
from workers.process.tasks import ended, unless_failed
from workers.records import Partition
from workers.runtime import lag
from workers.runtime.applying import Applied, Applier
from workers.runtime.bad_record_limit import NOTHING_ACCEPTED, AcceptedBad, halt_message, is_bad, remember
from workers.runtime.decoding import Part, Position, continued, decode
from workers.runtime.exhaustion_deadline import ExhaustionDeadline
from workers.runtime.handover import HandOver
from workers.runtime.poll_size import PollSize
from workers.runtime.ports import (
    Assigned,
    Idle,
    InputEvent,
    InputTopics,
    Ledger,
    OutputTopics,
    Probe,
    Records,
    Revoked,
    Stopping,
)
from workers.runtime.publishing import Outlet
from workers.runtime.retry_policy import MOST_LOST_CONNECTIONS
from workers.runtime.takeover import TakeOver
from workers.runtime.worker_spec import WorkerSpec
from workers.store.failures import ConnectionLost, Exhausted

log = structlog.get_logger()
T = TypeVar("T")
_QUIET_S: Final = 0.02
_MANY: Final = 200
Fetched = tuple[InputEvent, Sequence[Part]]


class Loop:
    """One worker's loop over its ports. Call `run` once."""

    def __init__(
        self,
        spec: WorkerSpec,
        input_: InputTopics,
        output: OutputTopics,
        ledger: Ledger,
        probe: Probe,
        accepted: AcceptedBad = NOTHING_ACCEPTED,
        unreachable_after_s: float = 60.0,
        size: PollSize | None = None,
    ) -> None:
        self._size = size or PollSize(_MANY)
        self._decoders = spec.decoders
        self._poll_s, self._decode_s = POLL.labels(spec.name), DECODE.labels(spec.name)
        self._input = input_
        self._ledger = ledger
        self._probe = probe
        self._outlet = Outlet(input_, output, probe)
        self._applier = Applier(spec, ledger, probe, accepted, unreachable_after_s)
        self._take_over = TakeOver(input_, output, ledger, probe)
        self._hand_over = HandOver(self._outlet, ledger, probe)
        self._unreachable_after_s = unreachable_after_s
        self._positions: dict[Partition, Position] = {}

    @property
    def moved_at(self) -> float:
        """Event-loop time of the last commit or division, for the watchdog."""
        return self._applier.moved_at

    async def run(self) -> ExitCode:
        """Works until it is asked to stop, halts, or is fenced.

        Raises:
            SluiceError: it cannot continue. Committed records stay applied, and the next owner publishes the outbox.
        """
        publishing = asyncio.create_task(self._outlet.run(), name="outlet")
        fetching: asyncio.Task[Fetched] | None = None
        ahead: asyncio.Task[Fetched] | None = None
        try:
            while True:
                fetching = ahead or asyncio.create_task(self._fetch(), name="fetch")
                await unless_failed(self._forget_published_while_idle(fetching), publishing)
                event, parts = await unless_failed(fetching, publishing)
                ahead = asyncio.create_task(self._fetch(), name="fetch") if self._worth_overlapping(parts) else None
                ending = await unless_failed(self._handle(event, parts), publishing)
                if ending is not None:
                    return ending
        finally:
            self._forget()
            await ended(publishing, fetching, ahead)

    async def _fetch(self) -> Fetched:
        # 1. poll
        clock = asyncio.get_running_loop().time
        began = clock()
        event = await self._input.next()
        if not isinstance(event, Records):
            return event, ()
        self._poll_s.observe(clock() - began)
        await self._probe("polled")
        # 2. decode
        began = clock()
        parts = await decode(self._decoders, event.slices)
        self._decode_s.observe(clock() - began)
        return event, parts

    async def _handle(self, event: InputEvent, parts: Sequence[Part]) -> ExitCode | None:
        match event:
            case Records():
                return await self._apply(event.assignment, parts)
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

    async def _apply(self, assignment: int, parts: Sequence[Part]) -> ExitCode | None:
        """Applies a poll: in one transaction, or in portions after that was too much. If partitions are revoked or the
        worker stops in between, the next owner reads the rest again.
        """
        while self._input.is_current(assignment) and not self._input.stopping:
            parts = continued(parts, self._positions)
            if not parts:
                break
            if (ending := await self._apply_some(self._size.soonest(parts))) is not None:
                return ending
        return None

    async def _apply_some(self, parts: Sequence[Part]) -> ExitCode | None:
        await self._outlet.wait_for_capacity()
        published = self._outlet.published()
        # 3. fence  4. apply  5. outbox  6. COMMIT
        began = asyncio.get_running_loop().time()
        applied = await self._applier.apply(parts, self._positions, published)
        self._size.took(sum(len(part.raw) for part in applied.parts), asyncio.get_running_loop().time() - began)
        await self._probe("committed")
        if not applied.parts:
            self._outlet.restore_published(published)
        self._advance(applied)
        # 7. publish  8. commit offsets: the outlet's task
        await self._outlet.put(applied.effects.outbox, {part.source: part.end for part in applied.parts})
        return await self._verdict(applied)

    def _advance(self, applied: Applied) -> None:
        for source in applied.lost:
            del self._positions[source]
            lag.release(source)
        self._outlet.drop(applied.lost)
        for part in applied.parts:
            dead = [letter for letter in applied.effects.dead if letter.source == part.source]
            bad = [letter.raw.offset for letter in dead if is_bad(letter.error)]
            lag.apply(part.source, part.end, part.raw[-1] if part.raw else None)
            before = self._positions[part.source]
            self._positions[part.source] = Position(part.end, None, remember(before.bad, bad, part.end), before.pace)

    async def _verdict(self, applied: Applied) -> ExitCode | None:
        if not applied.halted and not applied.lost:
            return None
        for source, offset in applied.halted.items():
            log.error(halt_message(source, offset), action="bad_record_limit")
        await self._let_go()
        return ExitCode.STOPPED_THE_LINE if applied.halted else ExitCode.FENCED

    async def _let_go(self) -> bool:
        self._forget()
        return await self._hand_over()

    def _worth_overlapping(self, parts: Sequence[Part]) -> bool:
        """Whether to read the next poll ahead: few records decode faster than a statement runs."""
        return not self._size.slow and sum(len(part.raw) for part in parts) >= _MANY

    def _forget(self) -> None:
        for source in self._positions:
            lag.release(source)
        self._positions = {}

    async def _forget_published_while_idle(self, fetching: "asyncio.Task[Fetched]") -> None:
        """Deletes published outbox rows while there is nothing else to do. Other transactions repeat rows that are not
        deleted.
        """
        while not self._outlet.idle:
            await asyncio.wait({fetching}, timeout=_QUIET_S)
            if fetching.done():
                return
            if keys := self._outlet.published():
                # 9. delete
                await self._reconnecting(partial(self._ledger.forget_published, keys))
                await self._probe("published_deleted")

    async def _reconnecting(self, work: Callable[[], Awaitable[T]]) -> T:
        lost = 0
        exhaustion = ExhaustionDeadline(self._unreachable_after_s)
        while True:
            try:
                return await work()
            except Exhausted as full:
                await exhaustion.wait(full)
                await self._ledger.reconnect()
            except ConnectionLost as gone:
                lost += 1
                log.warning("The connection to PostgreSQL was lost; trying again.", action="connection_lost")
                if lost > MOST_LOST_CONNECTIONS:
                    raise Unreachable(f"every attempt lost its connection to PostgreSQL: {gone}") from gone
                await self._ledger.reconnect()
