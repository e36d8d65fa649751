"""Lanes: one member's partitions dealt out to several loops, so that one computes while another waits for PostgreSQL.

A lane is an `Input` like any other, and the loop on it does not know of the rest. A partition stays with one lane from
its assignment to its revocation, so what holds for a partition and a key holds as it does with a single loop. Nothing
is polled while a lane deals with an assignment or a revocation, or has `MOST_WAITING` polls that it has not begun. One
would not do: a backlog comes partition by partition, and the lanes would take turns.

Several lanes pay while there is a crowd. Where little comes they would make several small transactions of one, and a
record would wait for more of them, so there everything is on the first lane. When that changes, partitions change lanes
as they would change owners: all are revoked, and assigned again. That takes a tenth of a second or two, so it is not
done for a burst.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple, Protocol, assert_never

import structlog

from workers.errors import ExitCode
from workers.runtime.batch import RawRecord, Source
from workers.runtime.ports import Assigned, Event, Idle, Input, Records, Revoked, Stopping
from workers.runtime.tasks import ended

MOST_WAITING: Final = 2

log = structlog.get_logger()


class Crowd(NamedTuple):
    """Polls of so many records at least are a crowd once they have come for `gathers_s` seconds, until none came for
    `lasts_s`. One lane alone makes polls of that size only when it can hardly follow."""

    records: int = 500
    gathers_s: float = 1.0
    lasts_s: float = 30.0


USUAL: Final = Crowd()


class Assigning(Input, Protocol):
    """An input whose partitions can change lanes."""

    def assign_again(self) -> int | None:
        """The next events are a revocation that the group knows nothing of, and the same partitions under this number.

        None, and nothing happens, where the group has said or is about to say otherwise.
        """
        ...


class Runnable(Protocol):
    """What runs on a lane: the engine's loop."""

    async def run(self) -> ExitCode:
        """Works until its input says `Stopping`, or it cannot go on."""
        ...


class Lanes:
    """Deals out what an input brings; `all` are what to run loops on, each in a task of its own."""

    def __init__(self, input_: Assigning, count: int, crowd: Crowd = USUAL) -> None:
        self.input = input_
        self.all = tuple(Lane(self) for _ in range(count))
        self._used = count
        self._crowd = crowd
        self._crowded_since = self._crowded_at = self._crowded_until = 0.0
        self.taken_over = asyncio.Event()
        """Set once every lane has taken over what it was assigned first."""
        self._assigned = False
        self._assigned_again: int | None = None
        self._lane_of: dict[Source, Lane] = {}
        self._revoked: Revoked | None = None
        self._asking = False
        self._changed = asyncio.Event()

    async def run(self, loops: Sequence[Runnable]) -> ExitCode:
        """Runs a loop on each lane. Once one of them ends the others are asked to, and how it ended is how all did."""
        running = [asyncio.create_task(self._run(*pair)) for pair in zip(self.all, loops, strict=True)]
        try:
            await asyncio.wait(running, return_when=asyncio.FIRST_EXCEPTION)
            codes = [task.result() for task in running if task.done()]
            return next((code for code in codes if code is not ExitCode.CLEAN), ExitCode.CLEAN)
        finally:
            await ended(*running)

    async def _run(self, lane: "Lane", loop: Runnable) -> ExitCode:
        try:
            return await loop.run()
        finally:
            lane.leave()
            self.input.stop_polling()

    async def ask(self, lane: "Lane") -> None:
        """Asks the input for its next event, or waits for somebody else's question to bring this lane one."""
        if self._asking or not self._may_ask(lane) or not all(each.follows for each in self.all):
            self._changed.clear()
            await self._changed.wait()
            return
        self._asking = True
        try:
            self._deal(await self.input.next(), lane)
        finally:
            self._asking = False
            self._changed.set()

    def _may_ask(self, lane: "Lane") -> bool:
        # What a lane without partitions asks for while another one works would be read too early, and wait.
        return lane in self.all[: self._used] or self._ending

    @property
    def _ending(self) -> bool:
        return any(lane.gone for lane in self.all)

    def changed(self) -> None:
        """A lane follows again."""
        self._changed.set()
        if any(lane.changing for lane in self.all):
            return
        if self._revoked is not None:
            self._revoked.handed_over.set()
            self._revoked = None
        if self._assigned:
            self.taken_over.set()

    def _deal(self, event: Event, asking: "Lane") -> None:
        match event:
            case Records() | Idle() if self._deals_anew(event):
                pass  # what this poll brought is read again
            case Records():
                for lane, slices in self._shares(event.slices).items():
                    lane.give(Records(event.assignment, slices))
            case Idle():
                asking.give(event)
            case Assigned():
                self._assign(event)
            case Revoked():
                self._revoked, self._lane_of = event, {}
                for lane in self.all:
                    lane.change(Revoked())
            case Stopping():
                for lane in self.all:
                    lane.change(event)
            case _:
                assert_never(event)

    def _shares(self, slices: Mapping[Source, Sequence[RawRecord]]) -> "dict[Lane, dict[Source, Sequence[RawRecord]]]":
        shares: dict[Lane, dict[Source, Sequence[RawRecord]]] = {}
        for source, records in slices.items():
            # Between a revocation and the next assignment a poll may bring what is nobody's.
            if (lane := self._lane_of.get(source)) is not None:
                shares.setdefault(lane, {})[source] = records
        return shares

    def _assign(self, event: Assigned) -> None:
        if event.assignment != self._assigned_again:
            # Nobody knows how much waits, and while partitions changed owners it became more.
            self._used = len(self.all)
            soon = asyncio.get_running_loop().time() + self._crowd.gathers_s
            self._crowded_until = max(self._crowded_until, soon)
        self._assigned = True
        count, sources = self._used, sorted(event.sources)
        self._lane_of = {source: self.all[n % count] for n, source in enumerate(sources)}
        # A lane without partitions has nothing to do; where nobody has any, one of them is to say so.
        for n, lane in enumerate(self.all[: max(1, min(count, len(sources)))]):
            lane.change(replace(event, sources=frozenset(sources[n::count])))

    def _deals_anew(self, event: Records | Idle) -> bool:
        """Whether partitions change lanes now, because there is a crowd or none any more."""
        wanted = self._wanted(sum(map(len, event.slices.values())) if isinstance(event, Records) else 0)
        if wanted == self._used or len(self._lane_of) < 2 or self._ending:
            return False
        again = self.input.assign_again()
        if again is None:
            return False
        log.info("Partitions change lanes.", action="lanes_changed", lanes=wanted)
        self._used, self._assigned_again = wanted, again
        return True

    def _wanted(self, polled: int) -> int:
        """How many lanes there should be, now that so many records were polled."""
        now = asyncio.get_running_loop().time()
        if polled >= self._crowd.records:
            if now - self._crowded_at > self._crowd.gathers_s:
                self._crowded_since = now
            self._crowded_at = now
            if self._used > 1 or now - self._crowded_since >= self._crowd.gathers_s:
                self._crowded_until = now + self._crowd.lasts_s
        return len(self.all) if now <= self._crowded_until else 1


class Lane:
    """The `Input` of one loop. Only the loop calls what the protocol has, only `Lanes` the rest; but for `leave`."""

    def __init__(self, lanes: Lanes) -> None:
        self.waiting: deque[Event] = deque()
        self.changing = False
        """It was given an assignment or a revocation, and has not come back since."""
        self.gone = False
        """Its loop has ended."""
        self._lanes = lanes

    @property
    def follows(self) -> bool:
        """As far as this lane goes the input may be asked."""
        return not self.changing and len(self.waiting) < MOST_WAITING

    def give(self, event: Event) -> None:
        """Its next event, after those that wait."""
        if not self.gone:
            self.waiting.append(event)

    def change(self, event: Event) -> None:
        """Its next event, to be dealt with before the input is asked again; what it has not begun is void."""
        self.waiting.clear()
        self.give(event)
        self.changing = not self.gone

    def leave(self) -> None:
        """The loop has ended: nobody waits for it."""
        self.gone = True
        self._followed()

    def _followed(self) -> None:
        self.waiting.clear()
        self.changing = False
        self._lanes.changed()

    async def next(self) -> Event:
        """See the protocol; raises as the input does."""
        if self.changing and not self.waiting:
            self._followed()
        while not self.waiting:
            if self.gone:
                return Stopping()
            await self._lanes.ask(self)
        event = self.waiting.popleft()
        self._lanes.changed()
        return event

    def stop_polling(self) -> None:
        """See the protocol: what stops one lane stops them all."""
        self._lanes.input.stop_polling()

    def is_current(self, assignment: int) -> bool:
        """See the protocol."""
        return self._lanes.input.is_current(assignment)

    async def bounds(self, sources: Sequence[Source]) -> Mapping[Source, tuple[int, int]]:
        """See the protocol; raises as the input does."""
        return await self._lanes.input.bounds(sources)

    def seek(self, source: Source, offset: int) -> None:
        """See the protocol."""
        self._lanes.input.seek(source, offset)

    async def commit(self, offsets: Mapping[Source, int]) -> None:
        """See the protocol; raises as the input does."""
        await self._lanes.input.commit(offsets)
