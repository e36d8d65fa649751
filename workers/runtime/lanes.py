"""Lanes: several loops for one member's partitions. One computes while another waits for PostgreSQL.

A lane is an `InputTopics` like any other, and its loop does not know the other lanes. A partition stays on one lane
from its assignment to its revocation, so all guarantees for partitions and keys hold as with a single loop. `Lanes`
does not poll while a lane handles an assignment or a revocation, or has `MOST_WAITING` polls that it has not begun. One
waiting poll would not be enough: a backlog comes partition by partition, and the lanes would take turns.

Several lanes are faster under high load. Under low load they would split one small transaction into several, and a
record would wait for more of them. Then the first lane has all partitions. When the load changes, partitions change
lanes as they change owners: all are revoked and assigned again. That takes a tenth of a second or two, so it is not
done for a burst.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple, Protocol, assert_never

import structlog

from workers.errors import ExitCode
from workers.process.tasks import ended
from workers.records import Partition, Slice
from workers.runtime.ports import Assigned, Idle, InputEvent, InputTopics, Records, Revoked, Stopping

MOST_WAITING: Final = 2

log = structlog.get_logger()


class HighLoad(NamedTuple):
    """High load: polls of at least this many records for `gathers_s` seconds. It ends when none came for `lasts_s`
    seconds.

    One lane alone makes polls of that size only near its capacity.
    """

    records: int = 500
    gathers_s: float = 1.0
    lasts_s: float = 30.0


USUAL: Final = HighLoad()


class Assigning(InputTopics, Protocol):
    """An input whose partitions can change lanes."""

    def assign_again(self) -> int | None:
        """The next events are a revocation that the group does not see, and an assignment of the same partitions under
        this number.

        Returns None, and does nothing, if the group revokes or assigns partitions itself.
        """
        ...


class Runnable(Protocol):
    """What runs on a lane: the engine's loop."""

    async def run(self) -> ExitCode:
        """Works until its input returns `Stopping`, or it cannot continue."""
        ...


class Lanes:
    """Deals out the events of an input. `all` are the lanes; run one loop on each, in a task of its own."""

    def __init__(self, input_: Assigning, count: int, high_load: HighLoad = USUAL) -> None:
        self.input = input_
        self.all = tuple(Lane(self) for _ in range(count))
        self._used = count
        self._high_load = high_load
        self._high_since = self._high_at = self._high_until = 0.0
        self.taken_over = asyncio.Event()
        """Set once every lane has taken over its first assignment."""
        self._assigned = False
        self._assigned_again: int | None = None
        self._lane_of: dict[Partition, Lane] = {}
        self._revoked: Revoked | None = None
        self._asking = False
        self._changed = asyncio.Event()

    @property
    def settled(self) -> bool:
        """Whether the group has assigned partitions, or none, and every lane has taken its own over."""
        return self._assigned and not any(lane.changing for lane in self.all) and not self._ending

    async def run(self, loops: Sequence[Runnable]) -> ExitCode:
        """Runs a loop on each lane. When one ends, the others are asked to stop, and the result is that of the first
        one.
        """
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
        """Asks the input for its next event, or waits until another lane's request brings one for this lane."""
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
        # A poll for a lane without partitions, while another lane works, would be read too early and wait.
        return lane in self.all[: self._used] or self._ending

    @property
    def _ending(self) -> bool:
        return any(lane.gone for lane in self.all)

    def changed(self) -> None:
        """Wakes up the lanes that wait: a lane is ready again."""
        self._changed.set()
        if any(lane.changing for lane in self.all):
            return
        if self._revoked is not None:
            self._revoked.handed_over.set()
            self._revoked = None
        if self._assigned:
            self.taken_over.set()

    def _deal(self, event: InputEvent, asking: "Lane") -> None:
        match event:
            case Records() | Idle() if self._deals_anew(event):
                pass  # the records of this poll are read again
            case Records():
                for lane, slices in self._shares(event.slices).items():
                    lane.give(Records(event.assignment, slices))
            case Idle():
                asking.give(event)
            case Assigned():
                self._assign(event)
            case Revoked():
                self._revoked, self._lane_of, self._assigned = event, {}, False
                for lane in self.all:
                    lane.change(Revoked())
            case Stopping():
                for lane in self.all:
                    lane.change(event)
            case _:
                assert_never(event)

    def _shares(self, slices: Mapping[Partition, Slice]) -> "dict[Lane, dict[Partition, Slice]]":
        shares: dict[Lane, dict[Partition, Slice]] = {}
        for source, part in slices.items():
            # Between a revocation and the next assignment a poll may return records of partitions without an owner.
            if (lane := self._lane_of.get(source)) is not None:
                shares.setdefault(lane, {})[source] = part
        return shares

    def _assign(self, event: Assigned) -> None:
        if event.assignment != self._assigned_again:
            # The size of the backlog is unknown, and it grew while partitions changed owners.
            self._used = len(self.all)
            soon = asyncio.get_running_loop().time() + self._high_load.gathers_s
            self._high_until = max(self._high_until, soon)
        self._assigned = True
        count, sources = self._used, sorted(event.sources)
        self._lane_of = {source: self.all[n % count] for n, source in enumerate(sources)}
        # A lane without partitions has nothing to do. If no lane has any, one of them must log it.
        for n, lane in enumerate(self.all[: max(1, min(count, len(sources)))]):
            lane.change(replace(event, sources=frozenset(sources[n::count])))

    def _deals_anew(self, event: Records | Idle) -> bool:
        """Whether partitions change lanes now, because the load has risen or fallen."""
        polled = event.slices.values() if isinstance(event, Records) else ()
        wanted = self._wanted(sum(len(part.records) for part in polled))
        if wanted == self._used or len(self._lane_of) < 2 or self._ending:
            return False
        again = self.input.assign_again()
        if again is None:
            return False
        log.info("Partitions change lanes.", action="lanes_changed", lanes=wanted)
        self._used, self._assigned_again = wanted, again
        return True

    def _wanted(self, polled: int) -> int:
        """The number of lanes that fits a poll of this size."""
        now = asyncio.get_running_loop().time()
        if polled >= self._high_load.records:
            if now - self._high_at > self._high_load.gathers_s:
                self._high_since = now
            self._high_at = now
            if self._used > 1 or now - self._high_since >= self._high_load.gathers_s:
                self._high_until = now + self._high_load.lasts_s
        return len(self.all) if now <= self._high_until else 1


class Lane:
    """The `InputTopics` of one loop. The loop calls the methods of the protocol, `Lanes` the others; both may call
    `leave`.
    """

    def __init__(self, lanes: Lanes) -> None:
        self.waiting: deque[InputEvent] = deque()
        self.changing = False
        """True from an assignment or a revocation until the loop asks for the next event."""
        self.gone = False
        """True once the loop has ended."""
        self._lanes = lanes

    @property
    def follows(self) -> bool:
        """Whether this lane allows to ask the input."""
        return not self.changing and len(self.waiting) < MOST_WAITING

    def give(self, event: InputEvent) -> None:
        """Adds an event after those that wait."""
        if not self.gone:
            self.waiting.append(event)

    def change(self, event: InputEvent) -> None:
        """Adds an event that the lane must handle before the input is asked again. Drops what the lane has not
        begun.
        """
        self.waiting.clear()
        self.give(event)
        self.changing = not self.gone

    def leave(self) -> None:
        """Marks that the loop has ended, so that no lane waits for it."""
        self.gone = True
        self._followed()

    def _followed(self) -> None:
        self.waiting.clear()
        self.changing = False
        self._lanes.changed()

    async def next(self) -> InputEvent:
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
        """See the protocol. Stops all lanes."""
        self._lanes.input.stop_polling()

    @property
    def stopping(self) -> bool:
        """See the protocol."""
        return self._lanes.input.stopping

    def is_current(self, assignment: int) -> bool:
        """See the protocol."""
        return self._lanes.input.is_current(assignment)

    async def bounds(self, sources: Sequence[Partition]) -> Mapping[Partition, tuple[int, int]]:
        """See the protocol; raises as the input does."""
        return await self._lanes.input.bounds(sources)

    def seek(self, source: Partition, offset: int) -> None:
        """See the protocol."""
        self._lanes.input.seek(source, offset)

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """See the protocol; raises as the input does."""
        await self._lanes.input.commit(offsets)
