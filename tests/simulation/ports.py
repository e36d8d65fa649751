"""The engine's ports over the simulated servers. Each models the product's own port: what it retries, what it bears,
and what it lets through.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Final, TypeVar

from tests.simulation.broker import Broker
from tests.simulation.database import Database, Session
from tests.simulation.world import Process
from workers.errors import Unreachable
from workers.kafka.consumer import HAND_OVER_S
from workers.records import (
    Event,
    Lease,
    OutboxKey,
    OutboxRow,
    Partition,
    PartitionStep,
    Slice,
    TopicKey,
    Trial,
    UnpublishedEvent,
)
from workers.runtime.ledger import TRANSACTION_S
from workers.runtime.ports import Assigned, Body, Effects, Idle, InputEvent, Records, Revoked, Stopping
from workers.store.failures import Conflict, ConnectionLost, TooMuch, TransactionWork

T = TypeVar("T")

_POLL_S: Final = 2.0
_COMMIT_S: Final = 10.0
_DEADLINE_S: Final = 30.0
_UNREACHABLE_AFTER_S: Final = 60.0
_LOCK_TRIES: Final = 5
_PARTITIONS: Final = 2


class SimInput:
    """`Input`, as `KafkaInput` is: the group's callbacks come from a task of their own."""

    def __init__(self, broker: Broker, process: Process) -> None:
        self.process = process
        self.generation = -1
        self.changed = asyncio.Event()
        self.rejoin = asyncio.Event()
        self._world = broker.world
        self._broker = broker
        self._events: deque[Assigned | Revoked] = deque()
        self._assignment = 0
        self._mine: tuple[Partition, ...] = ()
        self._given = False
        self._positions: dict[Partition, int] = {}
        process.when_it_dies.append(lambda _death: broker.group.misses(self))
        process.when_it_pauses.append(lambda _length: broker.group.misses(self))

    async def coordinate(self) -> None:
        """A member's life: join, and join again whenever the group says so."""
        while True:
            await self.process.step("join")
            await self._revoke()
            await self.process.step("joining")
            await self._broker.up()
            self.rejoin.clear()
            share = await self._broker.group.join(self)
            await self.process.step("joined")
            if share is not None:
                self._assignment += 1
                self._mine, self._given = share.sources, bool(share.sources)
                self._positions = {}
                self._events.append(self._assigned())
                self.changed.set()
                await self.rejoin.wait()

    async def _revoke(self) -> None:
        self._assignment += 1
        self._events.clear()
        given, self._given = self._given, False
        if not given:
            return
        event = Revoked()
        self._events.append(event)
        self.changed.set()
        try:
            async with asyncio.timeout(HAND_OVER_S):
                await event.handed_over.wait()
        except TimeoutError:
            self._world.count("handed over late")

    @property
    def at_ease(self) -> bool:
        """It is a member, and nothing waits to be told to the loop."""
        return not self._events and self._broker.group.is_member(self)

    def stop_polling(self) -> None:
        self.process.stopping = True
        self.changed.set()

    def stop(self) -> None:
        self._broker.group.leave(self)

    async def next(self) -> InputEvent:
        while True:
            await self.process.step("poll")
            self.changed.clear()
            if self._events:
                return self._events.popleft()
            if self.process.stopping:
                return Stopping()
            under = self._assignment
            slices = self._read() or await self._wait()
            await self.process.step("answer to poll")
            if under == self._assignment and slices is not None:
                return Records(under, slices) if slices else Idle()

    async def _wait(self) -> Mapping[Partition, Slice] | None:
        """What comes in time; None if something else came."""
        try:
            async with asyncio.timeout(_POLL_S):
                await self.changed.wait()
        except TimeoutError:
            return {}
        return self._read() or None

    def _read(self) -> dict[Partition, Slice]:
        if self._world.now() < self._broker.down_until:
            return {}
        slices: dict[Partition, Slice] = {}
        for source, position in self._positions.items():
            if self._world.dice.random() < 0.7:
                most = self._world.dice.randint(1, self._world.weather.poll)
                records = [raw for raw in self._broker.log(source) if raw.offset >= position][:most]
                # A poll that is not full reads on through what no consumer is given.
                end = records[-1].offset + 1 if len(records) == most else self._broker.end(source)
                if end > position:
                    slices[source] = Slice(records, end)
        self._positions.update({source: part.end for source, part in slices.items()})
        return slices

    @property
    def stopping(self) -> bool:
        return self.process.stopping

    def is_current(self, assignment: int) -> bool:
        return assignment == self._assignment

    def assign_again(self) -> int | None:
        if not self._given or self._events:
            return None
        self._world.count("partitions change lanes")
        self._assignment += 1
        self._events += (Revoked(), self._assigned())
        return self._assignment

    def _assigned(self) -> Assigned:
        return Assigned(self._assignment, self.generation, frozenset(self._mine))

    async def bounds(self, sources: Sequence[Partition]) -> Mapping[Partition, tuple[int, int]]:
        try:
            async with asyncio.timeout(_UNREACHABLE_AFTER_S):
                await self.process.step("bounds")
                await self._broker.up()
        except TimeoutError as late:
            raise Unreachable("Kafka does not tell the bounds") from late
        return {source: (0, self._broker.end(source)) for source in sources}

    def seek(self, source: Partition, offset: int) -> None:
        if source in self._mine:
            self._positions[source] = offset

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        ours = {source: offset for source, offset in offsets.items() if source in self._mine}
        if not ours:
            return
        try:
            async with asyncio.timeout(_COMMIT_S):
                await self.process.step("commit offsets")
                await self._broker.up()
                failed = self._world.chance(self._world.weather.uncommitted)
                arrives = not failed or self._world.dice.random() < 0.5
                if arrives and self._broker.group.is_member(self):
                    self._broker.commit(self.process, ours)
                await self.process.step("offsets answered")
        except TimeoutError:
            self._world.count("offsets not committed")


class _Unacknowledged(Exception):  # noqa: N818 - what happened to it is not known
    pass


class SimOutput:
    """`Output`, as `KafkaOutput` is: it insists, with one producer after the other, and sends everything again."""

    def __init__(self, broker: Broker, process: Process) -> None:
        self._world = broker.world
        self._broker = broker
        self._process = process
        self._turn = asyncio.Lock()

    @property
    def at_ease(self) -> bool:
        """Nothing is being published."""
        return not self._turn.locked()

    async def publish(self, messages: Sequence[Event]) -> None:
        async with self._turn:
            give_up = self._world.now() + _UNREACHABLE_AFTER_S
            while True:
                try:
                    async with asyncio.timeout(_DEADLINE_S):
                        await self._send(messages)
                except (TimeoutError, _Unacknowledged) as late:
                    self._world.note(self._process.name, "gets no acknowledgement", type(late).__name__)
                    self._world.count("publishing tried again")
                    if self._world.now() >= give_up:
                        raise Unreachable("Kafka did not acknowledge what is owed") from late
                    await asyncio.sleep(0.1)
                else:
                    return

    async def _send(self, messages: Sequence[Event]) -> None:
        dice = self._world.dice
        by_partition: dict[tuple[str, int], list[Event]] = {}
        for message in messages:
            # Not `hash`, which is another one in every process.
            by_partition.setdefault((message.topic, sum(message.key or b"") % _PARTITIONS), []).append(message)
        parts = list(by_partition.values())
        dice.shuffle(parts)
        for part in parts:
            sent = 0
            while sent < len(part):
                batch = part[sent : sent + dice.randint(1, len(part))]
                await self._append(batch)
                sent += len(batch)
        await self._process.step("acknowledged")

    async def _append(self, batch: Sequence[Event]) -> None:
        await self._process.step("publish")
        await self._broker.up()
        if not self._world.chance(self._world.weather.unacknowledged):
            self._broker.append(self._process, batch)
            return
        arrived = self._world.dice.random() < 0.5
        if arrived:
            self._broker.append(self._process, batch)
        self._world.count(f"not acknowledged, {'but' if arrived else 'and not'} appended")
        if self._world.chance(self._world.weather.hanging):
            await asyncio.sleep(_UNREACHABLE_AFTER_S)
        raise _Unacknowledged


class SimLedger:
    """`Ledger`, as `PostgresLedger` is: one connection, and a lease that is renewed when it was given back."""

    def __init__(self, database: Database, process: Process) -> None:
        self._world = database.world
        self._database = database
        self._process = process
        self._session: Session | None = None
        self._renew()

    def _renew(self) -> None:
        self._lease = self._world.serial()

    async def open(self) -> None:
        give_up = self._world.now() + _UNREACHABLE_AFTER_S
        while True:
            await self._process.step("connect")
            try:
                await self._connect()
            except ConnectionLost as error:
                self.close()
                if self._world.now() >= give_up:
                    raise Unreachable("PostgreSQL did not answer") from error
                await asyncio.sleep(1.0)
            else:
                return

    async def _connect(self) -> None:
        if self._world.now() < self._database.down_until:
            raise ConnectionLost("the server is down")
        self._session = Session(self._database, self._process)
        lease = self._lease
        await self._execute("adopt", lambda session: self._database.adopt(session, lease))

    def close(self) -> None:
        held, self._session = self._session, None
        if held is not None and not held.lost:
            held.end()

    async def reconnect(self) -> None:
        self.close()
        await self.open()

    @property
    def _connection(self) -> Session:
        if self._session is None:
            raise ConnectionLost("no connection")
        return self._session

    async def _execute(self, name: str, work: Callable[[Session], Awaitable[T]]) -> T:
        """One statement that is a transaction of its own."""
        session = self._connection
        await self._process.step(name)
        session.check()
        if self._world.chance(self._world.weather.lost):
            raise session.lose_while(name, work)
        async with session.within():
            result = await work(session)
            self._database.commit(session)
        await session.answered(f"{name} answered")
        return result

    async def take(self, generation: int, source: Partition) -> Lease | None:
        for _ in range(_LOCK_TRIES):
            try:
                session = self._connection
                await session.sent("take")
                async with session.within():
                    taken = await self._database.take(session, self._lease, generation, source)
                    await session.commit("COMMIT of take")
            except Conflict:
                await self._execute("end holder", lambda session: self._end_holder(session, source))
            else:
                self._world.note(self._process.name, "takes" if taken else "is refused", source)
                return taken
        raise ConnectionLost("the row stays locked")

    async def _end_holder(self, session: Session, source: Partition) -> None:
        self._database.end_holder(session, source)

    async def outbox(self, source: Partition) -> Sequence[OutboxRow]:
        return await self._execute("read outbox", lambda _session: self._outbox_of(source))

    async def _outbox_of(self, source: Partition) -> Sequence[OutboxRow]:
        return sorted((o for o in self._database.outbox.values() if o.key.source == source), key=lambda o: o.key)

    async def transact(self, steps: Sequence[PartitionStep], body: Body, published: Sequence[OutboxKey]) -> Effects:
        session = self._connection
        await session.sent("fence")
        work = TransactionWork(lambda: session.ended or session.lost)
        async with work.interruptible(), session.within():
            advance = await self._database.advance(session, self._lease, steps)
            await session.answered("fenced")
            # The engine hands on whatever connection its ledger gives it.
            connection: Any = session
            async with work.at_most(TRANSACTION_S):
                effects = await body(connection, advance)
                session.open.dead = effects.dead
                if effects.outbox or published:
                    await session.sent("store outbox")
                    self._database.store_outbox(session, effects.outbox)
                    session.open.published = self._database.published(self._lease, published)
                await self._process.step("before_commit")
            await session.commit("COMMIT")
        return effects

    async def tries(self, source: Partition, tried: Trial | None) -> None:
        lease = self._lease
        self._world.count("writes down what it tries")
        await self._execute("try", lambda session: self._database.tries(session, lease, source, tried))

    async def sound(self) -> bool:
        try:
            await self._execute("rehearse", self._database.rehearse)
        except (ConnectionLost, TooMuch):
            return False
        return True

    async def earlier(self, keys: Collection[TopicKey]) -> Sequence[UnpublishedEvent]:
        await self._connection.sent("earlier")
        return self._database.earlier(keys)

    async def forget_published(self, keys: Sequence[OutboxKey]) -> None:
        lease = self._lease
        await self._execute("delete published", lambda session: self._delete_published(session, lease, keys))

    async def _delete_published(self, session: Session, lease: int, keys: Sequence[OutboxKey]) -> None:
        session.open.published = self._database.published(lease, keys)

    async def release(self) -> None:
        lease = self._lease
        self._renew()
        await self._execute("release", lambda session: self._database.release(session, lease))
