"""Deleted contacts: what a command cuts off, and what steps erase afterwards.

Rows of deleted contacts and identities stay with their ids, because messages that prove counts name them.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
from msgspec.structs import replace

from workers.errors import RetryBatch
from workers.rules.blocks import BlockCommand
from workers.rules.contact import ContactKey
from workers.store import address_hashes
from workers.store.address_hashes import KeptAddress
from workers.store.arrays import columns
from workers.store.connection import Connection, changed_rows
from workers.store.contacts import IdentityKey, lock_buckets, lock_for_update
from workers.store.ownership import note_moved
from workers.store.queries import load

_SQL: Final = load("deletions")

_ROWS: Final = ("erase_sends", "erase_comments", "erase_tags", "erase_blocks")


class Deletion(NamedTuple):
    """An unfinished deletion. `cutting`: contacts are left to cut off. Dead letters up to `letters_read` are searched;
    `letters_until` is the last one to search, None: the search has not begun.
    """

    workspace_id: str
    deletion_id: UUID
    cutting: bool
    letters_read: int
    letters_until: int | None

    @property
    def key(self) -> tuple[str, UUID]:
        return self.workspace_id, self.deletion_id


async def some_contacts(tx: Connection, workspace_id: str, limit: int) -> set[ContactKey]:
    """Contacts of a workspace, at most `limit`."""
    rows = await tx.fetch(_SQL["some_contacts"], workspace_id, limit)
    return {(workspace_id, contact_id) for (contact_id,) in rows}


async def among(tx: Connection, keys: Collection[ContactKey]) -> set[ContactKey]:
    """Those of these contacts that were deleted."""
    if not keys:
        return set()
    rows = await tx.fetch(_SQL["among"], *columns(sorted(keys), 2))
    return {(workspace_id, contact_id) for workspace_id, contact_id in rows}


async def add(tx: Connection, deletion: tuple[str, UUID], at: datetime, contacts: Collection[ContactKey]) -> None:
    """Stores a deletion of contacts of one workspace, as of `at`.

    Raises:
        RetryBatch: another transaction deleted one of them meanwhile.
    """
    workspace_id, deletion_id = deletion
    await tx.execute(_SQL["add"], workspace_id, deletion_id, at, len(contacts))
    try:
        await tx.execute(
            _SQL["add_contacts"], workspace_id, deletion_id, at, [contact_id for _, contact_id in contacts]
        )
    except asyncpg.UniqueViolationError as error:
        raise RetryBatch("a contact of this batch was deleted by another transaction") from error


async def add_many(
    tx: Connection, deletion: tuple[str, UUID], at: datetime, named: Collection[ContactKey] | None, expected: int
) -> int:
    """Stores a deletion of very many contacts, None: of all, if they are that many. Returns how many they are. They are
    deleted from then on; steps cut them off.

    Raises:
        RetryBatch: another transaction deleted one of them meanwhile.
    """
    ids = [contact_id for _, contact_id in named] if named is not None else None
    try:
        return int(await tx.fetchval(_SQL["add_many"], *deletion, at, ids, expected))
    except asyncpg.UniqueViolationError as error:
        raise RetryBatch("a contact of this batch was deleted by another transaction") from error


async def count_concerned(tx: Connection, deletion: tuple[str, UUID]) -> tuple[int, int]:
    """The numbers of runs and holds that end with the contacts of a deletion."""
    runs, holds = await tx.fetchrow(_SQL["count_concerned"], *deletion)
    return runs, holds


async def begin_cut(tx: Connection, deletion: Deletion, limit: int) -> dict[ContactKey, datetime]:
    """The next contacts to cut off, locked for update, and as of when. They are ordinary contacts for this transaction,
    which must cut them off. None: all are cut off.
    """
    rows = await tx.fetch(_SQL["whole"], *deletion.key, limit)
    found = {(deletion.workspace_id, contact_id): deleted_at for contact_id, deleted_at in rows}
    if not found:
        await tx.execute(_SQL["all_cut"], *deletion.key)
        return {}
    await tx.execute(_SQL["begin_cut"], deletion.workspace_id, [contact_id for _, contact_id in found])
    await lock_for_update(tx, found)
    return found


async def whole_among(tx: Connection, contacts: Collection[ContactKey]) -> dict[ContactKey, datetime]:
    """Those of these contacts that are deleted and not cut off yet, and as of when."""
    rows = await tx.fetch(_SQL["whole_among"], *columns(sorted(contacts), 2)) if contacts else ()
    return {(workspace_id, contact_id): deleted_at for workspace_id, contact_id, deleted_at in rows}


async def free_addresses(tx: Connection, keys: Collection[IdentityKey]) -> None:
    """Takes these addresses from contacts that are deleted with many others and not cut off yet."""
    if keys and await tx.fetchval(_SQL["is_cutting"]):
        await _free(tx, await tx.fetch(_SQL["whole_owners"], *columns(list(keys), 4)))


async def free_addresses_of(tx: Connection, contacts: Collection[ContactKey]) -> None:
    """The same for all addresses of these contacts."""
    await _free(tx, [(*key, at) for key, at in (await whole_among(tx, contacts)).items()])


async def _free(tx: Connection, rows: Sequence[Any]) -> None:
    by_time: dict[datetime, list[ContactKey]] = {}
    for workspace_id, contact_id, deleted_at in rows:
        by_time.setdefault(deleted_at, []).append((workspace_id, contact_id))
    await lock_buckets(tx, [contact for some in by_time.values() for contact in some])
    for at, contacts in sorted(by_time.items()):
        await _take_addresses(tx, contacts, at)


async def cut_off(tx: Connection, contacts: Collection[ContactKey], at: datetime) -> None:
    """Takes their addresses and rows from contacts that are deleted as of `at` and locked for update. Hashes of the
    addresses stay, with blocks and opt-outs.
    """
    keys = columns(sorted(contacts), 2)
    await _take_addresses(tx, contacts, at)
    await tx.execute(_SQL["remove"], *keys)
    await tx.execute(_SQL["erase_merges"], *keys)


async def _take_addresses(tx: Connection, contacts: Collection[ContactKey], at: datetime) -> None:
    keys = columns(sorted(contacts), 2)
    await address_hashes.add(tx, [_kept(row, at) for row in await tx.fetch(_SQL["cut_off"], *keys)])
    await note_moved(tx, keys[1])


def _kept(row: Mapping[str, Any], at: datetime) -> tuple[IdentityKey, KeptAddress]:
    key = IdentityKey(row["workspace_id"], row["channel"], row["scope"], row["lookup"])
    kept = KeptAddress(
        key.workspace_id, b"", row["identity_id"], row["contact_id"], row["began_at"], row["ended_at"] or at
    )
    if row["ended_at"] is not None:
        return key, kept  # who has the address since then has its opt-out as well
    opted = {"opted_out": row["opted_out"], "opted_at": row["opted_at"], "opted_by": row["opted_by"]}
    block = (
        ()
        if row["issued_at"] is None
        else (BlockCommand(row["issued_at"], unblocks=False, command_id=row["command_id"], actor_id=row["actor_id"]),)
    )
    return key, replace(kept, commands=block, **opted)


async def next_deletion(tx: Connection) -> Deletion | None:
    """The deletion that waited longest for a step."""
    row = await tx.fetchrow(_SQL["next"])
    return Deletion(*row) if row is not None else None


async def served(tx: Connection, deletion: Deletion, done: int = 0) -> None:
    """Notes a step, and how many more contacts are erased."""
    await tx.execute(_SQL["served"], *deletion.key, done)


async def contacts_to_erase(tx: Connection, deletion: Deletion, limit: int) -> list[ContactKey]:
    """The next contacts with history."""
    rows = await tx.fetch(_SQL["contacts_to_erase"], *deletion.key, limit)
    return [(deletion.workspace_id, contact_id) for (contact_id,) in rows]


async def held(tx: Connection, contacts: Collection[ContactKey], limit: int) -> dict[ContactKey, list[UUID]]:
    """Holds of deleted contacts of one workspace."""
    workspace_id = next(iter(contacts))[0]
    found: dict[ContactKey, list[UUID]] = {}
    for contact_id, send_id in await tx.fetch(_SQL["held"], workspace_id, [c for _, c in contacts], limit):
        found.setdefault((workspace_id, contact_id), []).append(send_id)
    return found


async def erase(tx: Connection, contacts: Collection[ContactKey], limit: int) -> bool:
    """Erases content of deleted contacts of one workspace: at most `limit` rows of each kind. Returns whether nothing
    is left.
    """
    workspace_id, ids = next(iter(contacts))[0], [contact_id for _, contact_id in contacts]
    complete = int(await tx.fetchval(_SQL["erase_messages"], workspace_id, ids, limit)) < limit
    for name in _ROWS:
        status = await tx.execute(_SQL[name], workspace_id, ids, limit)
        complete = complete and changed_rows(status) < limit
    return complete


async def erased(tx: Connection, contacts: Collection[ContactKey]) -> None:
    """Notes that nothing is left of these contacts of one workspace, and erases their addresses."""
    workspace_id = next(iter(contacts))[0]
    await tx.execute(_SQL["erased"], workspace_id, [contact_id for _, contact_id in contacts])


async def wait_for_queues(tx: Connection, deletion: Deletion) -> None:
    """Notes what is queued for Kafka: the deletion is finished once that is published."""
    await tx.execute(_SQL["wait_for_queues"], *deletion.key)


async def finish(tx: Connection, now: datetime) -> None:
    """Finishes the deletions whose queued events are published."""
    await tx.execute(_SQL["finish"], now)
