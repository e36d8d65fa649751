"""What the engine's loop needs from the world, and nothing more: records in, records out, one transactional store.

The loop knows only these protocols, so the same loop runs over Kafka and PostgreSQL and over a simulation of them.
Time is the event loop's own (`asyncio.get_running_loop().time()`), which a simulation can bend as well.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from workers.runtime.batch import Connection, Fact, RawRecord, Source


class OwedKey(NamedTuple):
    """A row of the batch outbox: what the poll that ended before `next_offset` owes for one partition."""

    source: Source
    next_offset: int


class Owed(NamedTuple):
    """A row of the batch outbox with its content, in the order to publish."""

    key: OwedKey
    facts: Sequence[Fact]


class Fingerprint(NamedTuple):
    """Tells a record from another at the same offset of a topic made anew. Milliseconds; CRC-32 of key and value."""

    timestamp: int
    crc: int


class Step(NamedTuple):
    """One partition's part of a transaction: from `first` (None: nothing applied before) to before `end`."""

    source: Source
    first: int | None
    end: int
    last: Fingerprint


class DeadLetter(NamedTuple):
    """A record that could not be understood, as it came."""

    source: Source
    raw: RawRecord
    error: str


TopicKey = tuple[str, bytes]


class Earlier(NamedTuple):
    """A fact that is owed already. `source` is the partition whose row holds it, None for a job's."""

    source: Source | None
    fact: Fact


class Effects(NamedTuple):
    """What one transaction owes, by input partition, and what it could not understand."""

    owed: Sequence[Owed]
    dead: Sequence[DeadLetter]


@dataclass(frozen=True, slots=True)
class Taken:
    """A lease on a partition. `next_offset` is None where nothing was applied yet; `bad` are the dead letters' offsets
    among the last records before it."""

    source: Source
    next_offset: int | None
    last: Fingerprint | None
    bad: tuple[int, ...]


# What the input tells the loop, one event at a time.


@dataclass(frozen=True, slots=True)
class Assigned:
    """The group gave us these partitions. Nothing is read from them before `seek`."""

    assignment: int
    generation: int
    sources: frozenset[Source]


@dataclass(frozen=True, slots=True)
class Revoked:
    """Every partition is being taken away; the group waits, within a bound, until `handed_over` is set."""

    handed_over: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Records:
    """One poll, in offset order within each partition."""

    assignment: int
    slices: Mapping[Source, Sequence[RawRecord]]


@dataclass(frozen=True, slots=True)
class Idle:
    """The poll brought nothing."""


@dataclass(frozen=True, slots=True)
class Stopping:
    """We were asked to stop."""


Event = Assigned | Revoked | Records | Idle | Stopping


class Input(Protocol):
    """Input topics as a member of a consumer group."""

    async def next(self) -> Event:
        """The next event. Never cancelled by the caller; returns within the poll's time-out, or one rebalance."""
        ...

    def stop_polling(self) -> None:
        """From now on the next event is `Stopping`."""
        ...

    def is_current(self, assignment: int) -> bool:
        """Whether this assignment still stands: nothing of it has been taken away since."""
        ...

    async def bounds(self, sources: Sequence[Source]) -> Mapping[Source, tuple[int, int]]:
        """First offset kept, and the offset the next record will get, of each partition."""
        ...

    def seek(self, source: Source, offset: int) -> None:
        """Reads on from `offset`; nothing happens for a partition that is not ours any more."""
        ...

    async def commit(self, offsets: Mapping[Source, int]) -> None:
        """Tells the group how far everything is published; partitions that are not ours any more are passed over."""
        ...


class Output(Protocol):
    """Output topics."""

    async def publish(self, facts: Sequence[Fact]) -> None:
        """Returns once all are acknowledged; messages of one topic and key arrive in list order, perhaps twice."""
        ...


Body = Callable[[Connection, datetime], Awaitable[Effects]]


class Ledger(Protocol):
    """The transactional store: who owns a partition, how far it got, what it owes."""

    async def take(self, generation: int, source: Source) -> Taken | None:
        """Takes the lease; None where a newer generation of the group has it."""
        ...

    async def owed(self, source: Source) -> Sequence[Owed]:
        """What is owed for a partition, in offset order."""
        ...

    async def transact(self, steps: Sequence[Step], body: Body, settled: Sequence[OwedKey]) -> Effects:
        """Fences and advances, runs `body`, owes its effects, forgets `settled`, commits.

        Raises:
            Fenced, Conflict, BadData, ConnectionLost: see `workers.store.failures`; nothing was committed, except
                perhaps after ConnectionLost.
        """
        ...

    async def earlier(self, keys: Collection[TopicKey]) -> Sequence[Earlier]:
        """What is owed about these keys, by whomever, and perhaps not published yet; oldest first.

        Only within the body of `transact`, and for keys whose rows it has locked.
        """
        ...

    async def settle(self, keys: Sequence[OwedKey]) -> None:
        """Forgets what is published."""
        ...

    async def release(self) -> None:
        """Gives every lease back."""
        ...

    async def reconnect(self) -> None:
        """A new connection after ConnectionLost; the leases stay.

        Raises:
            Unreachable: none could be had within the bound.
        """
        ...


Probe = Callable[[str], Awaitable[None]]
"""Called at every named point of the commit order; tests stop, crash or hold the worker there."""


async def no_probe(_point: str) -> None:
    """The probe of production: nothing."""
