"""The simulated broker: topics, the consumer group with its eager rebalances, and the offsets it keeps."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.simulation.book import TOPIC, Raw
from tests.simulation.oracle import Ledger, Oracle
from tests.simulation.world import HEARTBEAT_S, SESSION_TIMEOUT_S, Process, World
from workers.kafka.membership import REBALANCE_TIMEOUT_MS
from workers.records import Event, Partition

if TYPE_CHECKING:
    from tests.simulation.ports import SimInput


class Broker:
    """One broker. While it is down nobody gets an answer."""

    def __init__(self, world: World, oracle: Oracle) -> None:
        self.world = world
        self.oracle = oracle
        self.sources = [Partition(TOPIC, number) for number in range(world.weather.partitions)]
        self.group = Group(world, self)
        self.offsets: dict[Partition, int] = {}
        self.down_until = 0.0
        oracle.partitions.update({source: Ledger() for source in self.sources})

    async def up(self) -> None:
        while (down_s := self.down_until - self.world.now()) > 0:  # noqa: ASYNC110 - up sooner, perhaps, than it was to be
            await asyncio.sleep(min(1.0, down_s))

    def log(self, source: Partition) -> Sequence[Raw]:
        log: Sequence[Raw] = self.oracle.partitions[source].log  # type: ignore[assignment] # the same records
        return log

    def end(self, source: Partition) -> int:
        return self.oracle.partitions[source].end

    def produce(self, source: Partition, word: str) -> None:
        dice, weather = self.world.dice, self.world.weather
        offset = self.end(source) + (dice.randint(1, 3) if dice.random() < weather.gaps else 0)
        key = None if dice.random() < 0.05 else b"key %d" % dice.randint(0, 2)
        raw = Raw(offset, 1_772_000_000_000 + offset, key, b"%d %s" % (offset, word.encode()))
        partition = self.oracle.partitions[source]
        partition.log.append(raw)
        partition.end = offset + 1
        if weather.markers and dice.random() < weather.markers:
            self.world.count("offsets that no consumer is given")
            partition.end += dice.randint(1, 2)
        self.group.tell_of_records()

    def append(self, process: Process, messages: Sequence[Event]) -> None:
        self.world.note(process.name, "appends", [(m.topic, m.value) for m in messages])
        for message in messages:
            self.oracle.appended(process, message)

    def commit(self, process: Process, offsets: Mapping[Partition, int]) -> None:
        self.world.note(process.name, "commits offsets", dict(offsets))
        for source, offset in offsets.items():
            self.oracle.offset_committed(process, source, offset)
        self.offsets.update(offsets)


@dataclass(frozen=True, slots=True)
class Share:
    """What a member was given."""

    generation: int
    sources: tuple[Partition, ...]


class Group:
    """The coordinator. A rebalance begins with any change; it ends when all have joined again, or are dropped."""

    def __init__(self, world: World, broker: Broker) -> None:
        self._world = world
        self._broker = broker
        self._members: list[SimInput] = []
        self._joining: dict[SimInput, asyncio.Future[Share | None]] = {}
        self._deadline: asyncio.TimerHandle | None = None
        self.generation = 0

    @property
    def published(self) -> bool:
        return not self._joining and self._deadline is None

    @property
    def members(self) -> Sequence["SimInput"]:
        return tuple(self._members)

    def is_member(self, member: "SimInput") -> bool:
        return member in self._members and member.generation == self.generation

    def join(self, member: "SimInput") -> "asyncio.Future[Share | None]":
        """What the member is given once all have joined; None if it was thrown out instead."""
        joined: asyncio.Future[Share | None] = self._world.loop.create_future()
        if member not in self._members:
            self._members.append(member)
        self._joining[member] = joined
        self.rebalance()
        self._complete_if_all_joined()
        return joined

    def rebalance(self) -> None:
        if self._deadline is not None or not self._members:
            return
        self._world.note("group", "rebalances", [member.process.name for member in self._members])
        self._world.count("rebalance")
        self._deadline = self._world.loop.call_later(REBALANCE_TIMEOUT_MS / 1000, self._drop_the_late)
        for member in self._members:
            if member not in self._joining:
                self._world.loop.call_later(self._world.dice.random() * HEARTBEAT_S, self._call, member)

    def _call(self, member: "SimInput") -> None:
        if self._deadline is not None and member in self._members and member not in self._joining:
            member.rejoin.set()

    def leave(self, member: "SimInput") -> None:
        """Leaves, or is thrown out."""
        if member not in self._members:
            return
        self._members.remove(member)
        joined = self._joining.pop(member, None)
        if joined is not None and not joined.done():
            joined.set_result(None)
        if self._deadline is None:
            self.rebalance()
        self._complete_if_all_joined()

    def evict(self, member: "SimInput") -> None:
        self._world.note("group", "throws out", member.process.name)
        self._world.count("thrown out of the group")
        wakes_in = max(0.0, member.process.paused_until - self._world.now())
        self._world.loop.call_later(wakes_in + self._world.dice.random() * HEARTBEAT_S, member.rejoin.set)
        self.leave(member)

    def misses(self, member: "SimInput") -> None:
        """The member is silent from now on: it is thrown out when its session times out, if it still is."""
        within = SESSION_TIMEOUT_S - self._world.dice.random() * HEARTBEAT_S
        self._world.loop.call_later(within, self._check, member)

    def tell_of_records(self) -> None:
        for member in self._members:
            member.changed.set()

    def _check(self, member: "SimInput") -> None:
        if member in self._members and not member.process.awake:
            self.evict(member)

    def _drop_the_late(self) -> None:
        for member in [member for member in self._members if member not in self._joining]:
            self.evict(member)

    def _complete_if_all_joined(self) -> None:
        if self._deadline is None or any(member not in self._joining for member in self._members):
            return
        self._deadline.cancel()
        self._deadline = None
        if not self._members:
            return
        self.generation += 1
        sources = list(self._broker.sources)
        self._world.dice.shuffle(sources)
        joining, self._joining = self._joining, {}
        for number, (member, joined) in enumerate(joining.items()):
            mine = tuple(sorted(sources[number :: len(joining)]))
            member.generation = self.generation
            self._world.note("group", "gives", member.process.name, f"generation {self.generation}", list(mine))
            # Who died while it was joining gets its share as well, until its session times out.
            if not joined.done():
                joined.set_result(Share(self.generation, mine))
