"""The ports of the engine's loop: records in, records out, one transactional store.

The loop knows only these protocols, so the same loop runs over Kafka and PostgreSQL and over a simulation of them. Time
is the event loop's own (`asyncio.get_running_loop().time()`), which a simulation can control as well.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from workers.records import (
    Advance,
    DeadLetter,
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
from workers.store.connection import Connection


class Effects(NamedTuple):
    """The outbox rows of one transaction, by input partition, and its dead letters."""

    outbox: Sequence[OutboxRow]
    dead: Sequence[DeadLetter]


# The events of the input, one at a time.


@dataclass(frozen=True, slots=True)
class Assigned:
    """The group assigned these partitions. Nothing is read from them before `seek`."""

    assignment: int
    generation: int
    sources: frozenset[Partition]


@dataclass(frozen=True, slots=True)
class Revoked:
    """The group revokes every partition. It waits, within a bound, until `handed_over` is set."""

    handed_over: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Records:
    """The records of one poll."""

    assignment: int
    slices: Mapping[Partition, Slice]


@dataclass(frozen=True, slots=True)
class Idle:
    """The poll returned nothing."""


@dataclass(frozen=True, slots=True)
class Stopping:
    """The process was asked to stop."""


InputEvent = Assigned | Revoked | Records | Idle | Stopping


class InputTopics(Protocol):
    """Input topics as a member of a consumer group."""

    async def next(self) -> InputEvent:
        """The next event. The caller never cancels it. Returns within the poll's time-out, or one rebalance."""
        ...

    def stop_polling(self) -> None:
        """Makes `Stopping` the next event from now on."""
        ...

    @property
    def stopping(self) -> bool:
        """Whether the worker was asked to stop."""
        ...

    def is_current(self, assignment: int) -> bool:
        """Whether nothing of this assignment was revoked since."""
        ...

    async def bounds(self, sources: Sequence[Partition]) -> Mapping[Partition, tuple[int, int]]:
        """The first offset kept, and the offset of the next record, of each partition. Records that an open transaction
        holds back lie between them.
        """
        ...

    def seek(self, source: Partition, offset: int) -> None:
        """Reads from `offset` on. Does nothing for a partition that is no longer ours. Before it, nothing is read of a
        partition.
        """
        ...

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Commits in Kafka how far everything is published. Skips partitions that are no longer ours."""
        ...


class OutputTopics(Protocol):
    """Output topics."""

    async def publish(self, events: Sequence[Event]) -> None:
        """Returns once all events are acknowledged. Events of one topic and key arrive in list order, perhaps twice."""
        ...


Body = Callable[[Connection, Advance], Awaitable[Effects]]


class Ledger(Protocol):
    """The transactional store: who owns a partition, how far it is applied, and its outbox."""

    async def take(self, generation: int, source: Partition) -> Lease | None:
        """Takes the lease. None if a newer generation of the group has it."""
        ...

    async def outbox(self, source: Partition) -> Sequence[OutboxRow]:
        """The outbox rows of a partition, in offset order."""
        ...

    async def transact(self, steps: Sequence[PartitionStep], body: Body, published: Sequence[OutboxKey]) -> Effects:
        """Fences and advances, runs `body`, stores its effects in the outbox, deletes `published`, commits.

        Raises:
            Fenced, Conflict, BadData, ConnectionLost, TooMuch: see `workers.store.failures`; nothing was committed,
                except perhaps after a ConnectionLost that is no Interrupted.
        """
        ...

    async def tries(self, source: Partition, tried: Trial | None) -> None:
        """Writes down what this owner is about to try, for the next owner to read; None: deletes it."""
        ...

    async def sound(self) -> bool:
        """Whether the server has time and memory for an ordinary transaction."""
        ...

    async def earlier(self, keys: Collection[TopicKey]) -> Sequence[UnpublishedEvent]:
        """Events about these keys that may be unpublished, of any partition or job; oldest first.

        Call it only within the body of `transact`, and for keys whose rows it has locked.
        """
        ...

    async def forget_published(self, keys: Sequence[OutboxKey]) -> None:
        """Deletes published outbox rows."""
        ...

    async def release(self) -> None:
        """Releases every lease."""
        ...

    async def reconnect(self) -> None:
        """Opens a new connection after ConnectionLost; the leases stay.

        Raises:
            Unreachable: no connection within the bound.
        """
        ...


Probe = Callable[[str], Awaitable[None]]
"""Called at every named point of the commit order. Tests stop, crash or hold the worker there."""


async def no_probe(_point: str) -> None:
    """The probe of production: does nothing."""
