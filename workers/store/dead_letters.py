"""Records that could not be understood, kept as they came until they are erased."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from schemas.limits import MAX_DEAD_LETTER_BYTES
from workers.runtime.batch import Connection, Source
from workers.runtime.ports import DeadLetter
from workers.store.queries import load

_QUERIES: Final = load("dead_letters")
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(list[tuple[str, bytes | None]])

NEW: Final = "new"
STATUSES: Final = (NEW, "replayed", "dismissed")
REPLAY_HEADER: Final = "sluice_dead_letter_id"
"""On a replayed record: the row it came from, so that failing again counts there."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters: None leaves a condition out. `reason` is a part of the error; `limit` takes the oldest."""

    status: str | None = NEW
    reason: str | None = None
    topic: str | None = None
    since: datetime | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A row with its content; `value` is None where it was null, too large to keep, or erased."""

    id: int
    source: Source
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
    """Stores records that were just found bad; a replayed one counts on the row it came from."""
    fresh = [letter for letter in letters if _replayed_from(letter) is None]
    again = {replayed: letter for letter in letters if (replayed := _replayed_from(letter)) is not None}
    if again:
        rows = await connection.fetch(
            _QUERIES["failed_again"], sorted(again), [again[identity].error for identity in sorted(again)]
        )
        # The header may name a row that never was: then the record is a letter of its own.
        known = {row["id"] for row in rows}
        fresh += [again[identity] for identity in sorted(again.keys() - known)]
    if fresh:
        await connection.execute(_QUERIES["record"], *_columns(fresh))


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


def _replayed_from(letter: DeadLetter) -> int | None:
    for name, value in letter.raw.headers:
        # Anybody may write a header: what is no row's id is an ordinary header.
        if name == REPLAY_HEADER and value and value.isdigit() and len(value) <= 18:
            return int(value)
    return None


async def listed(connection: Connection, wanted: Wanted) -> list[Mapping[str, Any]]:
    """The letters' rows without key, value and headers, oldest first; `content` tells whether that is still kept."""
    conditions = (wanted.status, wanted.reason, wanted.topic, wanted.since)
    return list(await connection.fetch(_QUERIES["list"], *conditions, wanted.limit))


async def locked(connection: Connection, identity: int) -> StoredLetter | None:
    """As `read`, and nobody changes the row until the transaction ends: a worker that finds the replayed record bad
    again has to wait for our `mark_replayed`.
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
        source=Source(row["source_topic"], row["source_partition"]),
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


async def mark_replayed(connection: Connection, identity: int) -> None:
    """The record was produced again."""
    await connection.execute(_QUERIES["mark"], identity, "replayed")


async def mark_dismissed(connection: Connection, identity: int) -> None:
    """A person decided that the record may be left alone."""
    await connection.execute(_QUERIES["mark"], identity, "dismissed")


async def detach(connection: Connection, sources: Sequence[Source]) -> None:
    """Makes way for partitions whose offsets begin again: letters of before keep everything but their offset (-id)."""
    await connection.execute(_QUERIES["detach"], [s.topic for s in sources], [s.partition for s in sources])


async def erase(connection: Connection, older_than_days: int, limit: int = 1000) -> int:
    """Erases the content of old rows, `limit` at a time; returns how many. The rows stay as a record."""
    status: str = await connection.execute(_QUERIES["erase"], older_than_days, limit)
    return int(status.removeprefix("UPDATE "))
