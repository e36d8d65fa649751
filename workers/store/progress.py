"""One row per input partition: whose it is, and how far it got."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from workers.errors import SetupError
from workers.runtime.batch import Connection, Source
from workers.runtime.ports import Fingerprint, Step, Taken
from workers.store.failures import Fenced
from workers.store.queries import load

_QUERIES: Final = load("progress")

BAD_WINDOW: Final = 400
"""How many records before the next one the line looks back on."""


class Owner(NamedTuple):
    """Who takes a lease. `lease` is random and fresh for each assignment."""

    lease: UUID
    consumer_group: str
    name: str


class Standing(NamedTuple):
    """A partition's row. `next_offset` is None where nothing was applied; `working`: its owner is connected."""

    source: Source
    next_offset: int | None
    owner: str | None
    working: bool
    updated_at: datetime


class Move(NamedTuple):
    """A partition that shall go on at `next_offset`, decided when it stood at `known`."""

    source: Source
    known: int | None
    next_offset: int


async def take(connection: Connection, owner: Owner, generation: int, source: Source) -> Taken | None:
    """Takes the lease on a partition; None where a living member of a newer generation has it. Needs a transaction.

    Raises:
        asyncpg.LockNotAvailableError: somebody holds the row for longer than a second.
        SetupError: the partition's progress belongs to another consumer group.
    """
    await connection.execute(_QUERIES["wait_a_second"])
    row = await connection.fetchrow(
        _QUERIES["take"], *source, owner.consumer_group, owner.lease, owner.name, generation
    )
    if row is None:
        await _refuse_foreign_group(connection, owner, source)
        return None
    next_offset = row["next_offset"]
    if next_offset is None:
        return Taken(source, None, None, ())
    bad = await connection.fetch(_QUERIES["recent_bad"], *source, next_offset - BAD_WINDOW, next_offset)
    return Taken(source, next_offset, _fingerprint(row["last_timestamp"], row["last_crc"]), tuple(r[0] for r in bad))


def _fingerprint(timestamp: int | None, crc: int | None) -> Fingerprint | None:
    return None if timestamp is None or crc is None else Fingerprint(timestamp, crc)


async def _refuse_foreign_group(connection: Connection, owner: Owner, source: Source) -> None:
    group = await connection.fetchval(_QUERIES["group_of"], *source)
    if group is not None and group != owner.consumer_group:
        raise SetupError(_foreign(source.topic, group, owner.consumer_group))


def _foreign(topic: str, theirs: str, mine: str) -> str:
    return (
        f"the progress of {topic} in this database belongs to consumer group {theirs}, not {mine}: "
        "set SLUICE_GROUP_PREFIX back, or use another database"
    )


async def check_groups(connection: Connection, topics: Sequence[str], consumer_group: str) -> None:
    """Refuses a database whose progress on these topics belongs to another consumer group.

    Raises:
        SetupError: it does.
    """
    rows = await connection.fetch(_QUERIES["foreign_groups"], list(topics), consumer_group)
    if rows:
        raise SetupError(_foreign(rows[0]["topic"], rows[0]["consumer_group"], consumer_group))


async def end_holder(connection: Connection, source: Source) -> bool:
    """Ends the connection of the partition's recorded owner, if it is still there. True if it was."""
    return bool(await connection.fetchval(_QUERIES["end_holder"], *source))


async def adopt(connection: Connection, lease: UUID) -> None:
    """Records this connection as the one that works under the lease."""
    await connection.execute(_QUERIES["adopt"], lease)


async def forget_plans(connection: Connection) -> None:
    """Every statement of this connection is planned anew at its next use."""
    await connection.execute(_QUERIES["forget_plans"])


async def advance(connection: Connection, lease: UUID, steps: Sequence[Step]) -> datetime:
    """The compare-and-set that every transaction begins with; returns the transaction's time.

    Raises:
        Fenced: at least one partition is not ours any more, or had already been committed.
    """
    ordered = sorted(steps)
    rows = await connection.fetch(
        _QUERIES["advance"],
        lease,
        [step.source.topic for step in ordered],
        [step.source.partition for step in ordered],
        [step.first for step in ordered],
        [step.end for step in ordered],
        [step.last.timestamp for step in ordered],
        [step.last.crc for step in ordered],
    )
    if len(rows) < len(ordered):
        raise await _why(connection, lease, ordered)
    now: datetime = rows[0][0]
    return now


async def _why(connection: Connection, lease: UUID, steps: Sequence[Step]) -> Fenced:
    rows = await connection.fetch(
        _QUERIES["standing"], lease, [s.source.topic for s in steps], [s.source.partition for s in steps]
    )
    mine = {Source(r["topic"], r["partition"]): r["next_offset"] for r in rows if r["mine"]}
    lost = [s.source for s in steps if s.source not in mine or mine[s.source] not in (s.first, s.end)]
    committed = [s.source for s in steps if s.source not in lost and mine[s.source] == s.end]
    return Fenced(lost, committed)


async def release(connection: Connection, lease: UUID) -> None:
    """Gives back what is held under the lease."""
    await connection.execute(_QUERIES["release"], lease)


async def forget(connection: Connection, sources: Sequence[Source]) -> None:
    """Drops the progress of partitions whose topic will begin anew."""
    await connection.execute(_QUERIES["forget"], [s.topic for s in sources], [s.partition for s in sources])


async def listed(connection: Connection) -> list[Standing]:
    """Every partition's row."""
    return [
        Standing(Source(r["topic"], r["partition"]), r["next_offset"], r["owner"], r["working"], r["updated_at"])
        for r in await connection.fetch(_QUERIES["list"])
    ]


async def place(connection: Connection, moves: Sequence[Move]) -> None:
    """Lets partitions go on elsewhere. Nobody owns them then: a worker at work is fenced at its next transaction, and
    no record is compared with the one applied last. Needs a transaction.

    Raises:
        Fenced: a partition has moved on since `known` was read.
    """
    ordered = sorted(moves)
    where = [move.source.topic for move in ordered], [move.source.partition for move in ordered]
    await connection.execute(_QUERIES["lock"], *where)
    rows = await connection.fetch(
        _QUERIES["place"], *where, [move.known for move in ordered], [move.next_offset for move in ordered]
    )
    placed = {Source(r["topic"], r["partition"]) for r in rows}
    if len(placed) < len(ordered):
        raise Fenced([move.source for move in ordered if move.source not in placed], [])


async def sources(connection: Connection) -> dict[Source, int | None]:
    """Every partition with a row, and its next offset."""
    rows = await connection.fetch(_QUERIES["sources"])
    return {Source(r["topic"], r["partition"]): r["next_offset"] for r in rows}
