"""How the partitions of one member are dealt out to several loops."""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count, islice
from typing import Any, Final

import pytest
from asyncpg import Pool

from tests.runtime.ledgerbook import TOPIC, apply, book, decode, rows
from tests.support.brokers import Broker
from tests.support.databases import until
from tests.support.processes import at_work
from workers.app.supervisor import Plan
from workers.errors import ExitCode
from workers.records import Batch, Output, Partition, Slice
from workers.runtime.lanes import MOST_WAITING, HighLoad, Lane, Lanes
from workers.runtime.ports import Assigned, Idle, InputEvent, Records, Revoked, Stopping
from workers.runtime.worker_spec import WorkerSpec
from workers.store.connection import Connection

PARTITIONS: Final = tuple(Partition(TOPIC, n) for n in range(4))
ALL: Final = Assigned(1, 1, frozenset(PARTITIONS))


class Script:
    """An input that brings what it is told to, and then waits."""

    def __init__(self, *events: InputEvent) -> None:
        self.events = deque(events)
        self.asked = 0
        self.stands = True
        self._more = asyncio.Event()

    def bring(self, *events: InputEvent) -> None:
        self.events.extend(events)
        self._more.set()

    async def next(self) -> InputEvent:
        self.asked += 1
        while not self.events:
            self._more.clear()
            await self._more.wait()
        return self.events.popleft()

    def stop_polling(self) -> None:
        self.events.clear()
        self.bring(*[Stopping()] * 10)

    @property
    def stopping(self) -> bool:
        return Stopping() in self.events

    def is_current(self, assignment: int) -> bool:
        return assignment == 1

    def assign_again(self) -> int | None:
        if not self.stands:
            return None
        self.events.extendleft([replace(ALL, assignment=ALL.assignment + 1), Revoked()])
        return ALL.assignment + 1

    async def bounds(self, sources: Sequence[Partition]) -> Mapping[Partition, tuple[int, int]]:
        return dict.fromkeys(sources, (0, 0))

    def seek(self, source: Partition, offset: int) -> None: ...

    async def commit(self, offsets: Mapping[Partition, int]) -> None: ...


HIGH_LOAD: Final = HighLoad(records=2, gathers_s=0.0, lasts_s=0.0)

BURSTS: Final = HighLoad(records=2, gathers_s=0.2, lasts_s=0.0)


def poll(*partitions: int) -> Records:
    return Records(1, {PARTITIONS[n]: Slice((), 0) for n in partitions})


async def soon(lane: Lane) -> InputEvent:
    return await asyncio.wait_for(lane.next(), 5)


async def each(*lanes: Lane) -> list[InputEvent]:
    return [*await asyncio.gather(*map(soon, lanes))]


def begun(lane: Lane) -> "asyncio.Task[InputEvent]":
    return asyncio.create_task(lane.next())


async def turns() -> None:
    """Lets every task that can continue do so."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_each_partition_is_one_lanes_and_a_poll_is_split_among_them() -> None:
    lanes = Lanes(Script(ALL, poll(0, 1, 2, 3)), 2)
    first, second = lanes.all
    assert await each(first, second) == [
        Assigned(1, 1, frozenset(PARTITIONS[0::2])),
        Assigned(1, 1, frozenset(PARTITIONS[1::2])),
    ]
    assert await each(first, second) == [poll(0, 2), poll(1, 3)]


async def test_nothing_is_polled_before_every_lane_has_taken_over() -> None:
    script = Script(ALL, poll(0))
    lanes = Lanes(script, 2)
    first, second = lanes.all
    await each(first, second)
    eager = begun(first)
    await turns()
    assert (script.asked, lanes.taken_over.is_set()) == (1, False)

    other = begun(second)
    assert await asyncio.wait_for(eager, 5) == poll(0)
    assert lanes.taken_over.is_set()
    other.cancel()


async def test_partitions_are_handed_over_once_every_lane_has_let_go() -> None:
    revoked = Revoked()
    lanes = Lanes(Script(ALL, revoked), 2)
    first, second = lanes.all
    await each(first, second)
    assert [type(event) for event in await each(first, second)] == [Revoked, Revoked]
    eager = begun(first)
    await turns()
    assert not revoked.handed_over.is_set()

    other = begun(second)
    await turns()
    assert revoked.handed_over.is_set()
    eager.cancel()
    other.cancel()


async def test_a_lane_that_is_behind_holds_up_the_others_only_after_some_polls() -> None:
    script = Script(ALL, *[poll(0)] * 10)
    lanes = Lanes(script, 2)
    busy, idle = lanes.all
    await each(busy, idle)
    waiting = begun(idle)
    assert await soon(busy) == poll(0)
    await turns()
    assert len(script.events) == 10 - 1 - MOST_WAITING
    for _ in range(9):
        assert await soon(busy) == poll(0)
    waiting.cancel()


async def test_what_is_given_to_a_lane_wakes_it_whoever_else_waits() -> None:
    script = Script(ALL)
    lanes = Lanes(script, 3)
    await each(*lanes.all)
    waiting = [begun(lane) for lane in lanes.all]
    await turns()
    script.bring(*[poll(2)] * (MOST_WAITING + 1))
    assert await asyncio.wait_for(waiting[2], 5) == poll(2)
    for _ in range(MOST_WAITING):
        assert await soon(lanes.all[2]) == poll(2)
    for task in waiting:
        task.cancel()


async def test_a_lane_without_partitions_is_told_nothing_unless_nobody_has_any() -> None:
    lanes = Lanes(Script(Assigned(1, 1, frozenset(PARTITIONS[:1])), Revoked(), Assigned(1, 2, frozenset()), Idle()), 2)
    first, second = lanes.all
    other = begun(second)
    assert await soon(first) == Assigned(1, 1, frozenset(PARTITIONS[:1]))
    assert isinstance(await soon(first), Revoked)
    assert isinstance(await asyncio.wait_for(other, 5), Revoked)
    other = begun(second)
    assert await soon(first) == Assigned(1, 2, frozenset())
    assert await soon(first) == Idle()
    other.cancel()


async def test_what_is_polled_between_two_assignments_is_nobodys() -> None:
    lanes = Lanes(Script(ALL, Revoked(), poll(0, 1), Idle()), 1)
    [only] = lanes.all
    assert await soon(only) == ALL
    assert isinstance(await soon(only), Revoked)
    assert await soon(only) == Idle()


class Loop:
    """Takes events until it is to stop, or ends at the first poll with `ends`."""

    def __init__(self, lane: Lane, ends: ExitCode | Exception | None = None) -> None:
        self._lane = lane
        self._ends = ends

    async def run(self) -> ExitCode:
        while not isinstance(event := await self._lane.next(), Stopping):
            if isinstance(event, Records) and self._ends is not None:
                if isinstance(self._ends, Exception):
                    raise self._ends
                return self._ends
        return ExitCode.CLEAN


@pytest.mark.parametrize("code", [ExitCode.FENCED, ExitCode.STOPPED_THE_LINE])
async def test_how_one_lane_ends_is_how_all_end(code: ExitCode) -> None:
    lanes = Lanes(Script(ALL, poll(1)), 3)
    loops = [Loop(lane, code) for lane in lanes.all]
    assert await asyncio.wait_for(lanes.run(loops), 5) is code


async def test_what_one_lane_raises_ends_them_all() -> None:
    lanes = Lanes(Script(ALL, poll(1)), 2)
    loops = [Loop(lane, ValueError("a rule")) for lane in lanes.all]
    with pytest.raises(ValueError, match="a rule"):
        await asyncio.wait_for(lanes.run(loops), 5)


def loaded(*partitions: int) -> Records:
    few: Sequence[Any] = [object()] * HIGH_LOAD.records
    return Records(1, {PARTITIONS[n]: Slice(few, 0) for n in partitions})


async def test_without_high_load_everything_changes_to_the_first_lane_and_with_one_back() -> None:
    lanes = Lanes(Script(ALL, poll(0, 1), poll(0), loaded(0), poll(0, 1, 2, 3)), 2, HIGH_LOAD)
    first, second = lanes.all
    await each(first, second)
    assert [type(event) for event in await each(first, second)] == [Revoked, Revoked]
    idle = begun(second)
    assert await soon(first) == Assigned(2, 1, frozenset(PARTITIONS))
    assert await soon(first) == poll(0)

    eager = begun(first)
    assert isinstance(await asyncio.wait_for(eager, 5), Revoked)
    assert isinstance(await asyncio.wait_for(idle, 5), Revoked)
    assert await each(first, second) == [
        Assigned(2, 1, frozenset(PARTITIONS[0::2])),
        Assigned(2, 1, frozenset(PARTITIONS[1::2])),
    ]


async def test_who_asks_for_a_lane_that_was_left_is_told_to_stop() -> None:
    script = Script(ALL, poll(0))
    first = Lanes(script, 1).all[0]
    await soon(first)
    first.leave()
    assert await soon(first) == Stopping()
    assert script.asked == 1


async def test_every_assignment_by_the_group_begins_as_if_there_were_a_high_load() -> None:
    later = Assigned(3, 2, frozenset(PARTITIONS))
    lanes = Lanes(Script(ALL, poll(0), Revoked(), later, poll(0, 1)), 2, HIGH_LOAD)
    first, second = lanes.all
    await each(first, second)
    await each(first, second)
    idle = begun(second)
    assert await soon(first) == Assigned(2, 1, frozenset(PARTITIONS))
    assert isinstance(await soon(first), Revoked)
    assert isinstance(await asyncio.wait_for(idle, 5), Revoked)
    assert await each(first, second) == [
        replace(later, sources=frozenset(PARTITIONS[0::2])),
        replace(later, sources=frozenset(PARTITIONS[1::2])),
    ]


async def test_a_burst_is_no_high_load() -> None:
    lanes = Lanes(Script(ALL, Idle(), *[loaded(0)] * 3, *[loaded(0), poll(0)] * 4), 2, BURSTS)
    first, second = lanes.all
    await each(first, second)
    await asyncio.sleep(BURSTS.gathers_s)
    assert [type(event) for event in await each(first, second)] == [Revoked, Revoked]
    idle = begun(second)
    assert await soon(first) == Assigned(2, 1, frozenset(PARTITIONS))
    for _ in range(3):
        assert isinstance(await soon(first), Records)
        await asyncio.sleep(BURSTS.gathers_s * 1.5)
    for _ in range(8):
        await asyncio.sleep(BURSTS.gathers_s / 4)
        event = await soon(first)
        if isinstance(event, Revoked):
            break
    assert isinstance(event, Revoked)
    assert isinstance(await asyncio.wait_for(idle, 5), Revoked)


async def test_a_lane_without_partitions_does_not_ask_for_what_another_one_has_no_time_for() -> None:
    script = Script(ALL, poll(0, 1), *[poll(0)] * 5)
    lanes = Lanes(script, 2, HIGH_LOAD)
    first, second = lanes.all
    await each(first, second)
    await each(first, second)
    idle = begun(second)
    await soon(first)
    assert await soon(first) == poll(0)
    await turns()
    assert len(script.events) == 4
    idle.cancel()


async def test_partitions_stay_where_they_are_while_the_group_says_otherwise() -> None:
    script = Script(ALL, poll(0, 1), Idle())
    script.stands = False
    lanes = Lanes(script, 2, HIGH_LOAD)
    first, second = lanes.all
    await each(first, second)
    assert await each(first, second) == [poll(0), poll(1)]
    assert await soon(first) == Idle()


async def test_one_lane_works_while_the_other_ones_transaction_waits_where_there_is_a_high_load(
    database: str, pool: Pool, broker: Broker
) -> None:
    await book(pool)
    at_once: list[int] = []
    values = count(100)  # 13 would be refused

    async def watched(tx: Connection, batch: Batch[int]) -> list[Output]:
        at_once.append(at_once[-1] + 1 if at_once else 1)
        try:
            await asyncio.sleep(0.1)
            return await apply(tx, batch)
        finally:
            at_once.append(at_once[-1] - 1)

    async def say(times: int) -> None:
        for partition in (0, 1):
            await broker.produce(TOPIC, [(None, b"%d" % value) for value in islice(values, times)], partition=partition)

    async def booked(times: int) -> None:
        await until(pool, "SELECT count(*) >= $1 FROM book", 2 * times)

    plan = Plan(
        [WorkerSpec("book", {TOPIC: decode}, watched, lanes=2)], topics=(TOPIC, "messages.accepted", "dead.letters")
    )
    async with at_work(database, broker, plan):
        await asyncio.sleep(1.0)  # nothing comes: after a second that is no high_load
        await say(1)
        await booked(1)
        at_once.clear()
        for _ in range(10):
            await say(1)
        await booked(11)
        assert max(at_once) == 1
        said = 11
        while max(at_once) < 2 and said < 60_000:
            await say(1_500)
            said += 1_500
            await booked(said - 3_000)
        await booked(said)
        assert max(at_once) == 2
    assert await rows(pool) == [*range(100, 100 + 2 * said)]
