"""Dead letters: poison records as they came, until they are erased."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from schemas.limits import MAX_DEAD_LETTER_BYTES
from workers.records import DeadLetter, Partition
from workers.rules.letters import REPLAY_HEADER
from workers.store.connection import Connection, changed_rows
from workers.store.queries import load

_QUERIES: Final = load("dead_letters")
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(list[tuple[str, bytes | None]])

NEW: Final = "new"
STATUSES: Final = (NEW, "replayed", "dismissed")
Settled = Literal["replayed", "dismissed"]


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which dead letters: None leaves a condition out. `reason` is a part of the error; `limit` takes the oldest."""

    status: str | None = NEW
    reason: str | None = None
    topic: str | None = None
    since: datetime | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A row with its content. `value` is None if it was null, too large to keep, or is erased."""

    id: int
    source: Partition
    offset: int
    error: str
    first_seen: datetime
    attempts: int
    status: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    erased: bool


async def record(connection: Connection, letters: Sequence[DeadLetter]) -> None:
    """Stores new dead letters. A replayed record that failed again counts on its old row."""
    replayed = await _failed_again(connection, letters)
    fresh = [letter for number, letter in enumerate(letters) if number not in replayed]
    if fresh:
        await connection.execute(_QUERIES["record"], *_columns(fresh))


async def _failed_again(connection: Connection, letters: Sequence[DeadLetter]) -> set[int]:
    """Counts replayed records on their rows. Returns which of `letters` they are.

    Any producer may write the header. It counts only on the record of that row, by topic, partition, key and value. Any
    other record makes a dead letter of its own.
    """
    claims = [(n, identity, letter) for n, letter in enumerate(letters) if (identity := _claimed(letter)) is not None]
    if not claims:
        return set()
    topics, partitions, _, errors, keys, values, _ = _columns([letter for _, _, letter in claims])
    identities = [identity for _, identity, _ in claims]
    counted = await connection.fetch(_QUERIES["failed_again"], identities, topics, partitions, keys, values, errors)
    return {claims[row["number"] - 1][0] for row in counted}


def _columns(letters: Sequence[DeadLetter]) -> tuple[list[object], ...]:
    return (
        [letter.source.topic for letter in letters],
        [letter.source.partition for letter in letters],
        [letter.raw.offset for letter in letters],
        [letter.error for letter in letters],
        [letter.raw.key for letter in letters],
        [_kept(letter.raw.value) for letter in letters],
        [_ENCODER.encode(list(letter.raw.headers)) for letter in letters],
    )


def _kept(value: bytes | None) -> bytes | None:
    return value if value is not None and len(value) <= MAX_DEAD_LETTER_BYTES else None


def _claimed(letter: DeadLetter) -> int | None:
    """The row that the record's header names. Of several headers the last one counts, because replay adds its own at
    the end.
    """
    for name, value in reversed(letter.raw.headers):
        # A value that is no row's id is an ordinary header.
        if name == REPLAY_HEADER and value and value.isdigit() and len(value) <= 18:
            return int(value)
    return None


async def listed(connection: Connection, wanted: LetterFilter) -> list[Mapping[str, Any]]:
    """Dead letters without key, value and headers, oldest first; `content` says whether those are still kept."""
    conditions = (wanted.status, wanted.reason, wanted.topic, wanted.since)
    return list(await connection.fetch(_QUERIES["list"], *conditions, wanted.limit))


async def locked(connection: Connection, identity: int) -> StoredLetter | None:
    """As `read`, but locks the row until the transaction ends: a worker that finds the replayed record bad again waits
    for `settle`.
    """
    await connection.execute(_QUERIES["lock"], identity)
    return await read(connection, identity)


async def read(connection: Connection, identity: int) -> StoredLetter | None:
    """One dead letter with its content; None if there is no such row."""
    row = await connection.fetchrow(_QUERIES["read"], identity)
    if row is None:
        return None
    return StoredLetter(
        id=row["id"],
        source=Partition(row["source_topic"], row["source_partition"]),
        offset=row["source_offset"],
        error=row["error"],
        first_seen=row["first_seen"],
        attempts=row["attempts"],
        status=row["status"],
        key=row["key"],
        value=row["value"],
        headers=_DECODER.decode(row["headers"]) if row["headers"] is not None else [],
        erased=row["erased_at"] is not None,
    )


async def settle(connection: Connection, identity: int, status: Settled) -> bool:
    """Marks that the record was produced again, or that an operator dismissed it. Returns whether that changed the row:
    not if it was marked so already, and `replayed` only while the content is kept.
    """
    return bool(await connection.fetchval(_QUERIES["settle"], identity, status))


async def detach(connection: Connection, sources: Sequence[Partition]) -> None:
    """For partitions whose offsets start again: earlier dead letters keep everything except their offset (-id)."""
    await connection.execute(_QUERIES["detach"], [s.topic for s in sources], [s.partition for s in sources])


async def erase(connection: Connection, older_than_days: int, limit: int = 1000) -> int:
    """Erases the content of old rows, at most `limit`. Returns how many. The rows stay."""
    status: str = await connection.execute(_QUERIES["erase"], older_than_days, limit)
    return changed_rows(status)


async def forget(connection: Connection, erased_for_days: int, limit: int = 1000) -> int:
    """Deletes the digests of rows that were erased before that time, at most `limit`. Returns how many."""
    status: str = await connection.execute(_QUERIES["forget"], erased_for_days, limit)
    return changed_rows(status)


async def remove(connection: Connection, days: int, limit: int = 1000) -> int:
    """Deletes the rows of letters that were first seen before that time and are erased and forgotten, at most `limit`.
    Returns how many.
    """
    return changed_rows(await connection.execute(_QUERIES["remove"], days, limit))
