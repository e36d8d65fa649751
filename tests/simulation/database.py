"""The simulated database server: rows, the locks on them, and sessions that can end at any moment.

It models what the engine's statements rely on in PostgreSQL (READ COMMITTED): a row is judged, waited for, and judged
again; what a transaction wrote is there at once or not at all; a session that ends takes its transaction with it.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from tests.simulation.oracle import Oracle
from tests.simulation.world import Death, Process, World
from workers.errors import RetryBatch
from workers.records import (
    Advance,
    DeadLetter,
    Fingerprint,
    Lease,
    OutboxKey,
    OutboxRow,
    Partition,
    PartitionStep,
    TopicKey,
    Trial,
    UnpublishedEvent,
)
from workers.runtime import bad_record_limit
from workers.store.failures import BadData, Conflict, ConnectionLost, Fenced, TooMuch

IDLE_IN_TRANSACTION_S: Final = 10.0
KEEPALIVE_S: Final = 25.0
DEADLOCK_S: Final = 1.0
"""How long a rule waits for a row of its own before the server takes it for a deadlock."""
_BEGIN: Final = datetime(2026, 3, 1, tzinfo=UTC)

Lockable = Partition | bytes
"""A partition's row, or the row of what a shared key is about."""


@dataclass(slots=True)
class Row:
    """Progress of one partition. `moved_by` is who took or placed it last."""

    orphaned: bool = False
    tried: Trial | None = None

    next_offset: int | None = None
    last: Fingerprint | None = None
    lease: int | None = None
    generation: int = 0
    backend: "Session | None" = None
    moved_by: str = ""


@dataclass(slots=True)
class Transaction:
    """What one transaction has written so far."""

    lease: int = 0
    steps: Sequence[PartitionStep] = ()
    booked: list[tuple[Partition, int]] = field(default_factory=list)
    dead: Sequence[DeadLetter] = ()
    outbox: Sequence[OutboxRow] = ()
    published: Sequence[OutboxRow] = ()
    taken: tuple[Partition, int, bool] | None = None
    locked: list[Lockable] = field(default_factory=list)


class Database:
    """The server."""

    def __init__(self, world: World, oracle: Oracle) -> None:
        self.world = world
        self.oracle = oracle
        self.rows: dict[Partition, Row] = {}
        self.outbox: dict[OutboxKey, OutboxRow] = {}
        self.book: list[tuple[Partition, int]] = []
        self.dead: dict[tuple[Partition, int], str] = {}
        self.sessions: list[Session] = []
        self.down_until = 0.0
        self.short_until = 0.0
        self.skew = timedelta()
        self._locks: dict[Lockable, Session] = {}
        self._queues: dict[Lockable, deque[asyncio.Future[None]]] = {}

    def time(self) -> datetime:
        return _BEGIN + timedelta(seconds=self.world.now()) + self.skew

    def restart(self, down_s: float) -> None:
        """In immediate mode: every session ends."""
        self.down_until = self.world.now() + down_s
        for session in list(self.sessions):
            session.end()

    # Locks.

    async def lock(self, session: "Session", row: Lockable, timeout_s: float | None = None) -> None:
        """Waits for the row, until the transaction's end.

        Raises:
            Conflict: the time-out passed.
        """
        while (holder := self._locks.get(row)) not in (None, session):
            self.world.note(session.process.name, "waits for the row", row, "of", holder.process.name)
            self.world.count("waits for a row")
            turn = self.world.loop.create_future()
            self._queues.setdefault(row, deque()).append(turn)
            session.waiting = turn
            try:
                async with asyncio.timeout(timeout_s):
                    await turn
            except TimeoutError as late:
                raise Conflict(f"the lock on {row!r} was not to be had") from late
            finally:
                session.waiting = None
        if holder is None:
            session.open.locked.append(row)
            self._locks[row] = session

    def unlock(self, locked: Sequence[Lockable]) -> None:
        for row in locked:
            del self._locks[row]
            for turn in self._queues.pop(row, ()):
                if not turn.done():
                    turn.set_result(None)

    # Statements: what the product's do, in the words of workers/store/queries.

    async def take(self, session: "Session", lease: int, generation: int, source: Partition) -> Lease | None:
        await self.lock(session, source, 1.0)
        row = self.rows.get(source) or Row()
        owner_lives = row.backend is not None and not row.backend.ended
        if row.generation > generation and row.lease is not None and owner_lives:
            return None
        orphaned = row.orphaned if row.lease == lease else row.lease is not None
        tried = row.tried if row.tried is not None and row.tried.until > (row.next_offset or 0) else None
        session.open.lease, session.open.taken = lease, (source, generation, orphaned)
        if row.next_offset is None:
            return Lease(source, None, None, (), orphaned, tried)
        begin, end = row.next_offset - bad_record_limit.WINDOW, row.next_offset
        dead = [offset for (of, offset), error in self.dead.items() if of == source and bad_record_limit.is_bad(error)]
        bad = sorted(offset for offset in dead if begin <= offset < end)
        return Lease(source, row.next_offset, row.last, tuple(bad), orphaned, tried)

    async def tries(self, session: "Session", lease: int, source: Partition, tried: Trial | None) -> None:
        for row in await self._held(session, lease, source):
            row.tried = tried

    async def rehearse(self, session: "Session") -> None:
        """What an ordinary transaction costs."""
        self.must_suffice(session)

    def must_suffice(self, session: "Session") -> None:
        """Raises:
        TooMuch: there is too little memory for anybody.
        """
        if self.world.stormy and self.world.now() < self.short_until:
            self.world.note(session.process.name, "is told that memory is short")
            self.world.count("memory is short")
            raise TooMuch("too little memory")

    def end_holder(self, session: "Session", source: Partition) -> None:
        row = self.rows.get(source)
        if row is not None and row.backend is not None and row.backend is not session and not row.backend.ended:
            self.world.note(session.process.name, "ends the connection of", row.backend.process.name)
            self.world.count("a holder is ended")
            row.backend.end()

    async def adopt(self, session: "Session", lease: int) -> None:
        for row in await self._held(session, lease):
            row.backend = session

    async def release(self, session: "Session", lease: int) -> None:
        for row in await self._held(session, lease):
            row.lease, row.backend, row.tried = None, None, None

    async def _held(self, session: "Session", lease: int, *only: Partition) -> list[Row]:
        mine = [source for source, row in self.rows.items() if row.lease == lease]
        sources = sorted(source for source in mine if not only or source in only)
        for source in sources:
            await self.lock(session, source)
        return [self.rows[source] for source in sources if self.rows[source].lease == lease]

    async def advance(self, session: "Session", lease: int, steps: Sequence[PartitionStep]) -> Advance:
        """The fence. Keeps no watermarks: nothing that is simulated depends on them.

        Raises:
            Fenced: at least one row does not stand where a step begins, under this lease.
        """
        ordered, won = sorted(steps), []
        for step in [step for step in ordered if self.stands(step, lease)]:
            await self.lock(session, step.source)
            if self.stands(step, lease):
                won.append(step)
        if len(won) < len(ordered):
            raise self.why(session, lease, ordered, won)
        session.open.lease, session.open.steps = lease, ordered
        return Advance(self.time(), {})

    def stands(self, step: PartitionStep, lease: int) -> bool:
        row = self.rows.get(step.source)
        return row is not None and row.lease == lease and row.next_offset == step.first

    def why(
        self, session: "Session", lease: int, steps: Sequence[PartitionStep], won: Sequence[PartitionStep]
    ) -> Fenced:
        mine = {
            step.source: step.end if step in won else row.next_offset
            for step in steps
            if (row := self.rows.get(step.source)) is not None and row.lease == lease
        }
        lost = [s.source for s in steps if s.source not in mine or mine[s.source] not in (s.first, s.end)]
        committed = [s.source for s in steps if s.source not in lost and mine[s.source] == s.end]
        self.oracle.fences(session.process, {source: self.rows[source].moved_by for source in lost})
        return Fenced(lost, committed)

    def store_outbox(self, session: "Session", outbox: Sequence[OutboxRow]) -> None:
        """Raises:
        BadData: a row with this key is there already.
        """
        if any(one.key in self.outbox for one in outbox):
            raise BadData("the key is taken")
        session.open.outbox = outbox

    def earlier(self, keys: Collection[TopicKey]) -> list[UnpublishedEvent]:
        messages = ((row.key.source, message) for row in self.outbox.values() for message in row.events)
        return [UnpublishedEvent(source, m) for source, m in messages if (m.topic, m.key or b"") in keys]

    def published(self, lease: int, keys: Sequence[OutboxKey]) -> list[OutboxRow]:
        """The rows that this lease may forget, as the statement sees them."""
        rows = [self.outbox[key] for key in keys if key in self.outbox]
        return [row for row in rows if self.rows[row.key.source].lease == lease]

    def forget(self, rows: Sequence[OutboxRow]) -> None:
        gone = [self.outbox.pop(row.key) for row in rows if self.outbox.get(row.key) is row]
        if gone:
            self.oracle.forgotten(gone)

    async def place(self, session: "Session", source: Partition, known: int, offset: int) -> None:
        """An operator lets a partition go on elsewhere, unless it has moved on."""
        await self.lock(session, source)
        row = self.rows[source]
        if row.next_offset != known:
            return
        row.next_offset, row.last, row.lease, row.backend, row.moved_by = offset, None, None, None, "operator"
        row.tried = None
        self.oracle.placed(source, offset)

    def commit(self, session: "Session") -> None:
        """Everything the transaction wrote is there, and its locks are gone."""
        done, session.transaction_ = session.open, None
        if done.steps:
            self.oracle.commits(session.process, done, {step.source: self.rows[step.source] for step in done.steps})
        if done.taken is not None:
            source, generation, orphaned = done.taken
            row = self.rows.setdefault(source, Row())
            if orphaned and row.lease != done.lease:
                self.oracle.orphaned(source, row.tried)
            row.lease, row.generation, row.backend, row.orphaned = done.lease, generation, session, orphaned
            row.moved_by = session.process.name
        for step in done.steps:
            row = self.rows[step.source]
            row.next_offset, row.last = step.end, step.last or row.last
        self.book += done.booked
        self.dead |= {(letter.source, letter.raw.offset): letter.error for letter in done.dead}
        self.outbox |= {row.key: row for row in done.outbox}
        self.forget(done.published)
        self.unlock(done.locked)


class Session:
    """One connection, both ends of it: the client's may be lost before the server notices."""

    def __init__(self, database: Database, process: Process) -> None:
        self.database = database
        self.process = process
        self.world = database.world
        self.ended = False
        self.lost = False
        self.waiting: asyncio.Future[None] | None = None
        self.transaction_: Transaction | None = None
        self.committing = False
        database.sessions.append(self)
        process.when_it_dies.append(self._orphaned)
        process.when_it_pauses.append(self._idle)

    @property
    def open(self) -> Transaction:
        if self.transaction_ is None:
            raise ConnectionLost("the server has ended the transaction")
        return self.transaction_

    # The server's end.

    def end(self) -> None:
        """Whatever it was at is rolled back."""
        if self.ended:
            return
        self.ended = True
        self.database.sessions.remove(self)
        self.roll_back()
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_exception(ConnectionLost("ended by the server"))

    def begin(self) -> None:
        self.transaction_ = Transaction()

    def roll_back(self) -> None:
        given_up, self.transaction_ = self.transaction_, None
        if given_up is not None:
            self.database.unlock(given_up.locked)

    def _orphaned(self, death: Death) -> None:
        if death is Death.LOST:
            self.world.loop.call_later(KEEPALIVE_S if self.transaction_ is None else IDLE_IN_TRANSACTION_S, self.end)
        elif self.committing and self.world.dice.random() < 0.5:
            self.commit_late(self.world.dice.random() * 0.1)
        else:
            self.world.loop.call_later(self.world.dice.random() * 0.05, self.end)

    def _idle(self, length: float) -> None:
        given = self.transaction_
        if given is not None and length > IDLE_IN_TRANSACTION_S:
            self.world.loop.call_later(IDLE_IN_TRANSACTION_S, self._end_idle, given)

    def _end_idle(self, given: Transaction) -> None:
        if self.transaction_ is given and not self.process.awake:
            self.end()

    def commit_late(self, after_s: float) -> None:
        """A COMMIT that is on its way arrives although nobody waits for its answer."""
        self.world.loop.call_later(after_s, self._arrive, self.transaction_)

    def _arrive(self, sent: Transaction | None) -> None:
        if sent is not None and self.transaction_ is sent:
            self.world.note(self.process.name, "COMMIT arrives late")
            self.world.count("COMMIT arrives late")
            self.database.commit(self)
        self.end()

    # The client's end.

    def check(self) -> None:
        """Raises:
        ConnectionLost: the connection is gone.
        """
        if self.ended or self.lost:
            raise ConnectionLost("the connection is gone")

    def lose(self) -> ConnectionLost:
        """The connection breaks; the server notices at once, or when something stands still for too long."""
        self.lost = True
        dice = self.world.dice
        self.world.loop.call_later(dice.choice((0.0, 0.0, 0.2, IDLE_IN_TRANSACTION_S)) * dice.random(), self.end)
        self.world.note(self.process.name, "loses its connection")
        self.world.count("connection lost")
        return ConnectionLost("the connection broke")

    def lose_while(self, name: str, work: Callable[["Session"], Awaitable[object]]) -> ConnectionLost:
        """The connection breaks while a statement is on its way: it is lost, or it arrives when nobody waits for it."""
        if self.world.dice.random() < 0.5:
            return self.lose()
        self.lost = True
        self.world.spawn(self._arrives_late(name, work))
        return ConnectionLost("the answer was lost")

    async def _arrives_late(self, name: str, work: Callable[["Session"], Awaitable[object]]) -> None:
        await asyncio.sleep(self.world.dice.choice((0.0, 0.5, 5.0)) * self.world.dice.random())
        if self.ended:
            return
        self.world.note(self.process.name, name, "arrives late")
        self.world.count(f"arrives late: {name}")
        self.begin()
        with suppress(ConnectionLost, Conflict, TooMuch):
            await work(self)
            self.database.commit(self)
        self.end()

    async def sent(self, name: str) -> None:
        """A statement is on its way.

        Raises:
            ConnectionLost: it never arrives.
        """
        await self.process.step(name)
        self.check()
        if self.world.chance(self.world.weather.lost):
            raise self.lose()

    async def answered(self, name: str) -> None:
        """The answer is on its way back.

        Raises:
            ConnectionLost: it never arrives.
        """
        if self.world.chance(self.world.weather.lost):
            raise self.lose()
        await self.process.step(name)
        self.check()

    @asynccontextmanager
    async def within(self) -> AsyncIterator[None]:
        """A transaction that is rolled back if it does not end well. The end itself is `commit`."""
        self.check()
        self.begin()
        mine = self.transaction_
        try:
            yield
        finally:
            # A process that died sends no ROLLBACK, and a broken connection carries none.
            if self.transaction_ is mine and not self.process.dead and not self.lost:
                self.roll_back()

    async def commit(self, name: str) -> None:
        """COMMIT.

        Raises:
            ConnectionLost: before it arrived, after it did, or it is still on its way.
        """
        self.committing = True
        try:
            await self.process.step(name)
            self.check()
            if self.world.chance(self.world.weather.lost):
                raise self._in_doubt()
            _ = self.open
            self.database.commit(self)
        finally:
            self.committing = False
        await self.answered(f"{name} answered")

    def _in_doubt(self) -> ConnectionLost:
        dice = self.world.dice
        if dice.random() < 0.5:
            return self.lose()
        self.lost = True
        self.commit_late(dice.choice((0.0, 1.0, 8.0)) * dice.random())
        return ConnectionLost("the answer to COMMIT was lost")

    # What the rules of the worker see of it.

    async def statement(self, name: str) -> int:
        """Any statement of a rule; a number no other one gets.

        Raises:
            Conflict, RetryBatch: somebody was in the way.
        """
        await self.sent(name)
        if self.world.chance(self.world.weather.conflict):
            self.world.note(self.process.name, "meets a conflict")
            self.world.count("conflict")
            raise self.world.dice.choice((Conflict, RetryBatch))("in the way")
        self.database.must_suffice(self)
        return self.world.serial()

    async def lock(self, rows: Iterable[bytes]) -> None:
        """Locks the rows of what shared keys are about.

        Raises:
            Conflict: somebody else has one, and waits for one of ours.
        """
        await self.sent("lock")
        for row in sorted(rows):
            await self.database.lock(self, row, DEADLOCK_S)

    def book(self, source: Partition, offset: int) -> None:
        self.open.booked.append((source, offset))

    def in_a_mood(self) -> bool:
        return self.world.dice.random() < 0.5

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """A savepoint."""
        booked = len(self.open.booked)
        try:
            yield
        except BaseException:
            if self.transaction_ is not None:
                del self.transaction_.booked[booked:]
            raise
