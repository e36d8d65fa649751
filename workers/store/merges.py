"""Merges of contacts: what both have, what moves, and the snapshot that an undo needs.

All contacts are locked for update.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec
from msgspec import Struct

from workers.rules.contact import ContactKey
from workers.rules.last_write_wins import LastWrite, WriteStamp
from workers.rules.merging import SAID, Side
from workers.store import conversations, details
from workers.store.arrays import columns
from workers.store.connection import Connection, changed_rows
from workers.store.queries import load as queries
from workers.store.write_stamps import stamp_of

_SQL = queries("merges")


class TagChange(NamedTuple):
    """A tag that the survivor got; `before` None: no command had been about it."""

    tag: str
    before: LastWrite[bool] | None
    after: LastWrite[bool]


class MergeSnapshot(Struct, frozen=True):
    """What came with the loser, and what the survivor had before and after: it holds personal data."""

    members: Sequence[UUID]
    identities: Sequence[int]
    before: Side
    after: Side
    loser_profile: LastWrite[str | None]
    tags: Sequence[TagChange]


class StoredMerge(NamedTuple):
    """A merge. `number` counts merges in the order in which they were applied. `snapshot` None: one of the two was
    deleted.
    """

    merge_id: UUID
    number: int
    survivor_id: UUID
    loser_id: UUID
    merged_at: datetime
    undone_at: datetime | None
    snapshot: MergeSnapshot | None


async def sides(tx: Connection, keys: Collection[ContactKey]) -> dict[ContactKey, Side]:
    """What these contacts have."""
    written = await details.load(tx, keys)
    talks = await conversations.load(tx, keys)
    return {
        (w, contact_id): Side(
            dict(zip(SAID, said, strict=True)),
            written[w, contact_id],
            LastWrite(profile_id, stamp_of(at, by)),
            talks[w, contact_id],
        )
        for w, contact_id, profile_id, at, by, *said in await tx.fetch(_SQL["said"], *columns(list(keys), 2))
    }


async def save(tx: Connection, key: ContactKey, side: Side) -> None:
    """Saves what a contact has, except for its profile. Raises its revision."""
    await tx.execute(_SQL["save_said"], *key, *(side.said[name] for name in SAID))
    await details.save(tx, {key: side.details}, {key})
    await conversations.save(tx, {key: side.conversation}, ())


async def tags(tx: Connection, key: ContactKey) -> dict[str, LastWrite[bool]]:
    """The tags that commands were about, present or removed."""
    rows = await tx.fetch(_SQL["tags"], *key)
    return {tag: LastWrite(present, WriteStamp(at, by)) for tag, present, at, by in rows}


async def forget_tags(tx: Connection, key: ContactKey, names: Collection[str]) -> None:
    """Deletes the rows of tags, as if no command had been about them."""
    await tx.execute(_SQL["forget_tags"], *key, list(names))


async def join(tx: Connection, survivor: ContactKey, loser: ContactKey, members: Collection[UUID]) -> Sequence[int]:
    """Merges a contact, with those that were merged into it, into another one. Returns the identities that move."""
    moved = await tx.fetch(_SQL["give_identities"], *loser, survivor[1])
    await tx.execute(_SQL["join"], *loser, survivor[1], list(members))
    return [identity_id for (identity_id,) in moved]


async def part(
    tx: Connection, survivor: ContactKey, loser: ContactKey, members: Collection[UUID], identities: Sequence[int]
) -> None:
    """Gives a contact back what came with it."""
    await tx.execute(_SQL["return_identities"], *survivor, loser[1], identities)
    await tx.execute(_SQL["part"], *loser, list(members))


async def give_holds(tx: Connection, loser: ContactKey, survivor: ContactKey, limit: int) -> int:
    """Gives holds of a contact that is merged away to the survivor, at most `limit`. Returns how many."""
    return changed_rows(await tx.execute(_SQL["give_holds"], *loser, survivor[1], limit))


async def return_holds(tx: Connection, survivor: ContactKey, loser: ContactKey, limit: int) -> int:
    """Gives holds to addresses that have gone back to a contact back to it, at most `limit`. Returns how many."""
    return changed_rows(await tx.execute(_SQL["return_holds"], *survivor, loser[1], limit))


async def count_holds(tx: Connection, key: ContactKey) -> int:
    """The number of holds of a contact."""
    return int(await tx.fetchval(_SQL["count_holds"], *key))


async def add(
    tx: Connection,
    merge_id: UUID,
    survivor: ContactKey,
    loser: ContactKey,
    actor: str,
    at: datetime,
    recorded_at: datetime,
    kept: MergeSnapshot,
) -> None:
    """Stores a merge. `at` is its `issued_at`, `recorded_at` the watermark of its record."""
    snapshot = msgspec.json.encode(kept).decode()
    await tx.execute(_SQL["add"], survivor[0], merge_id, survivor[1], loser[1], actor, at, recorded_at, snapshot)


async def find(tx: Connection, workspace_id: str, merge_id: UUID) -> StoredMerge | None:
    """The merge, if there is one."""
    row = await tx.fetchrow(_SQL["find"], workspace_id, merge_id)
    if row is None:
        return None
    merge_id, number, survivor_id, loser_id, merged_at, undone_at, snapshot = row
    kept = None if snapshot is None else msgspec.json.decode(snapshot, type=MergeSnapshot)
    return StoredMerge(merge_id, number, survivor_id, loser_id, merged_at, undone_at, kept)


async def merged_since(tx: Connection, workspace_id: str, merge: StoredMerge) -> bool:
    """Whether one of the two was merged after that, and is merged still."""
    both = [merge.survivor_id, merge.loser_id]
    return bool(await tx.fetchval(_SQL["merged_since"], workspace_id, both, merge.number))


async def undo(tx: Connection, workspace_id: str, merge_id: UUID, at: datetime, recorded_at: datetime) -> None:
    """Notes that a merge is undone."""
    await tx.execute(_SQL["undo"], workspace_id, merge_id, at, recorded_at)


async def has_profile(tx: Connection, workspace_id: str, profile_id: str) -> bool:
    """Whether there still is such a profile."""
    return bool(await tx.fetchval(_SQL["has_profile"], workspace_id, profile_id))
