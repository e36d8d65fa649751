"""Progress: one row per input partition, with its owner and its next offset."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from workers.process.identity import VERSION, runs_for_s
from workers.records import Advance, Fingerprint, Lease, Partition, PartitionStep, Trial
from workers.store import group_binding
from workers.store.connection import Connection
from workers.store.failures import Fenced
from workers.store.queries import load

_QUERIES: Final = load("progress")


class LeaseOwner(NamedTuple):
    """Who takes a lease. `lease` is random and new for each assignment."""

    lease: UUID
    consumer_group: str
    name: str


class PartitionProgress(NamedTuple):
    """A partition's row. `next_offset` is None if nothing was applied; `working`: its owner is connected."""

    source: Partition
    next_offset: int | None
    owner: str | None
    working: bool
    updated_at: datetime


class Move(NamedTuple):
    """A partition that is to continue at `next_offset`; `known` is its offset at the time of that decision."""

    source: Partition
    known: int | None
    next_offset: int


async def take(connection: Connection, owner: LeaseOwner, generation: int, source: Partition) -> Lease | None:
    """Takes the lease on a partition, without its bad records. None if a living member of a newer generation has it.
    Needs a transaction.

    Raises:
        asyncpg.LockNotAvailableError: another transaction holds the row for longer than a second.
        SetupError: the database is bound to another group prefix.
    """
    await connection.execute(_QUERIES["set_lock_timeout"])
    who = owner.consumer_group, owner.lease, owner.name, generation
    row = await connection.fetchrow(_QUERIES["take"], *source, *who, VERSION, runs_for_s())
    if row is None:
        await group_binding.check(connection, [source.topic], owner.consumer_group)
        return None
    tried = None if row["tried_until"] is None else Trial(row["tried_until"], row["tried_times"])
    next_offset = row["next_offset"]
    if next_offset is None:
        await group_binding.check(connection, [source.topic], owner.consumer_group)
        return Lease(source, None, None, (), row["orphaned"], tried)
    last = row["last_offset"], row["last_timestamp"], row["last_crc"]
    known = None if None in last else Fingerprint(*last)
    return Lease(source, next_offset, known, (), row["orphaned"], tried)


async def dead_between(connection: Connection, source: Partition, first: int, end: int) -> list[tuple[int, str]]:
    """Offset and error of the partition's dead letters from `first` on and before `end`."""
    return [tuple(row) for row in await connection.fetch(_QUERIES["recent_dead_letters"], *source, first, end)]


async def tries(connection: Connection, lease: UUID, source: Partition, tried: Trial | None) -> None:
    """Writes down what the owner is about to try of a partition; None: deletes it."""
    await connection.execute(_QUERIES["save_trial"], lease, *source, *(tried or (None, 0)))


async def rehearse(connection: Connection, lease: UUID) -> None:
    """Costs about as much as applying a record: writes, and computes in some memory. Needs a transaction."""
    await connection.execute(_QUERIES["rehearse_write"], lease)
    await connection.execute(_QUERIES["rehearse_sort"])


async def end_holder(connection: Connection, source: Partition) -> bool:
    """Ends the connection of the partition's recorded owner, if it is still there. True if it was."""
    return bool(await connection.fetchval(_QUERIES["end_holder"], *source))


async def adopt(connection: Connection, lease: UUID) -> None:
    """Records this connection as the one that works under the lease."""
    await connection.execute(_QUERIES["adopt"], lease)


async def forget_plans(connection: Connection) -> None:
    """Discards the plans of this connection: every statement is planned again at its next use."""
    await connection.execute(_QUERIES["discard_plans"])


async def advance(connection: Connection, owner: LeaseOwner, steps: Sequence[PartitionStep]) -> Advance:
    """The compare-and-set at the begin of every transaction.

    Raises:
        Fenced: at least one partition is no longer ours, or was already committed.
        SetupError: the database is bound to another group prefix, or workers of two prefixes use it.
    """
    ordered = sorted(steps)
    rows = await connection.fetch(
        _QUERIES["advance"],
        owner.lease,
        [step.source.topic for step in ordered],
        [step.source.partition for step in ordered],
        [step.first for step in ordered],
        [step.end for step in ordered],
        *([getattr(step.last, name, None) for step in ordered] for name in Fingerprint._fields),
        [step.watermark for step in ordered],
    )
    if len(rows) < len(ordered):
        raise await _why(connection, owner, ordered)
    begun = {step.source for step in ordered if step.first is None}
    if begun:
        await group_binding.bind(connection, begun, owner.consumer_group)
    known = {Partition(r["topic"], r["partition"]): r["watermark"] for r in rows if r["watermark"] is not None}
    return Advance(rows[0]["now"], known)


async def _why(connection: Connection, owner: LeaseOwner, steps: Sequence[PartitionStep]) -> Fenced:
    rows = await connection.fetch(
        _QUERIES["compare"], owner.lease, [s.source.topic for s in steps], [s.source.partition for s in steps]
    )
    mine = {Partition(r["topic"], r["partition"]): r["next_offset"] for r in rows if r["mine"]}
    lost = [s.source for s in steps if s.source not in mine or mine[s.source] not in (s.first, s.end)]
    await group_binding.refuse_rivals(connection, lost, owner.consumer_group)
    committed = [s.source for s in steps if s.source not in lost and mine[s.source] == s.end]
    return Fenced(lost, committed)


async def release(connection: Connection, lease: UUID) -> None:
    """Releases what is held under the lease."""
    await connection.execute(_QUERIES["release"], lease)


async def forget(connection: Connection, sources: Sequence[Partition]) -> None:
    """Deletes the progress of partitions whose topic will be created again."""
    await connection.execute(_QUERIES["forget"], [s.topic for s in sources], [s.partition for s in sources])


async def listed(connection: Connection) -> list[PartitionProgress]:
    """Every partition's row."""
    return [
        PartitionProgress(
            Partition(r["topic"], r["partition"]), r["next_offset"], r["owner"], r["working"], r["updated_at"]
        )
        for r in await connection.fetch(_QUERIES["list"])
    ]


async def move(connection: Connection, moves: Sequence[Move], group_prefix: str) -> None:
    """Moves partitions to other offsets.

    They have no owner then: a running worker is fenced at its next transaction, and no record is compared with the last
    applied one. Binds an unbound database to `group_prefix`, whoever had the partitions. Needs a transaction.

    Raises:
        Fenced: a partition has advanced since `known` was read.
    """
    ordered = sorted(moves)
    where = [move.source.topic for move in ordered], [move.source.partition for move in ordered]
    await connection.execute(_QUERIES["lock"], *where)
    prefix = await group_binding.settled(connection, group_prefix)
    places = [move.known for move in ordered], [move.next_offset for move in ordered]
    rows = await connection.fetch(_QUERIES["set_offsets"], *where, *places, prefix)
    placed = {Partition(r["topic"], r["partition"]) for r in rows}
    if len(placed) < len(ordered):
        raise Fenced([move.source for move in ordered if move.source not in placed], [])


async def sources(connection: Connection) -> dict[Partition, int | None]:
    """Every partition with a row, and its next offset."""
    rows = await connection.fetch(_QUERIES["sources"])
    return {Partition(r["topic"], r["partition"]): r["next_offset"] for r in rows}
