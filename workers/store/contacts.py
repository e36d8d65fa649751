"""Contacts and their identities: finds, inserts and locks them.

Code that judges a message by a block history locks the contact's row of `contact_locks` (`workers.store.senders`). Code
that judges anything else by it locks the contact itself for KEY SHARE. Code that changes a history locks both for
UPDATE, `contact_locks` first. A history must be read by a statement that began after the wait for the lock, or from the
locked row itself. The statements sort the rows: Python would compare ids far more slowly.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Struct

from workers.errors import RetryBatch
from workers.rules.blocks import Interval, blocked_now
from workers.rules.contact import Contact, ContactKey
from workers.rules.identities import ResolvedIdentity
from workers.rules.ownership import has_at
from workers.store.arrays import columns, texts_first
from workers.store.connection import Connection
from workers.store.queries import load

_SQL = load("contacts")

Said = tuple[str, UUID, str]
"""A value that messages have for their sender: workspace, contact, and `name`, `language` or `avatar_url`."""


class IdentityKey(NamedTuple):
    """What makes an identity unique."""

    workspace_id: str
    channel: str
    scope: str
    lookup: str


class Owned(Struct, frozen=True, gc=False):
    """A stored identity and its contact, which has the address in [began_at, ended_at)."""

    identity_id: int
    contact_id: UUID
    connected_at: datetime | None
    began_at: datetime | None = None
    ended_at: datetime | None = None


def key_of(workspace_id: str, identity: ResolvedIdentity) -> IdentityKey:
    return IdentityKey(workspace_id, identity.channel, identity.scope, identity.lookup)


def contact_key(contact: Contact) -> ContactKey:
    return contact.workspace_id, contact.contact_id


async def find(tx: Connection, keys: Collection[IdentityKey]) -> dict[IdentityKey, Owned]:
    """Who has these addresses now. Addresses that nobody has are left out."""
    ordered = list(keys)
    rows = await tx.fetch(_SQL["find_identities"], *columns(ordered, 4))
    return {ordered[position - 1]: Owned(*owned) for position, *owned in rows}


async def find_former(tx: Connection, keys: Collection[IdentityKey]) -> dict[IdentityKey, list[Owned]]:
    """Who had these addresses before, the last one first: a hundred of each address at most."""
    ordered = list(keys)
    found: defaultdict[IdentityKey, list[Owned]] = defaultdict(list)
    for position, *owned in await tx.fetch(_SQL["find_former"], *columns(ordered, 4)) if ordered else ():
        found[ordered[position - 1]].append(Owned(*owned))
    return dict(found)


async def find_at(
    tx: Connection, wanted: Collection[tuple[IdentityKey, datetime]]
) -> dict[tuple[IdentityKey, datetime], Owned]:
    """Who had each address at that time."""
    present = await find(tx, {key for key, _ in wanted})
    asked = {key for key, at in wanted if key not in present or not has_at(present[key], at)}
    former = await find_former(tx, asked)
    candidates = {key: [*former.get(key, ()), *([present[key]] if key in present else ())] for key, _ in wanted}
    return {(key, at): owned for key, at in wanted for owned in candidates[key] if has_at(owned, at)}


async def require_same_owners(tx: Connection, found: Mapping[tuple[IdentityKey, datetime], Owned]) -> None:
    """Checks what `find_at` found, now that the contacts are locked.

    Raises:
        RetryBatch: an address moved to another contact before that.
    """
    if not found:
        return
    present = await find_at(tx, found)
    if any(key not in present or present[key].contact_id != owned.contact_id for key, owned in found.items()):
        raise RetryBatch("an address moved to another contact while its owner was being locked")


async def read(tx: Connection, keys: Iterable[ContactKey]) -> dict[ContactKey, Contact]:
    """Contacts without locking them: to foresee a result, or of contacts that are locked and may have changed since.
    Unknown ones are left out.
    """
    return _contacts(await tx.fetch(_SQL["read_contacts"], *columns(list(set(keys)), 2)))


async def lock_shared(tx: Connection, keys: Iterable[ContactKey]) -> dict[ContactKey, Contact]:
    """Contacts whose block history cannot change until the transaction ends. Unknown ones are left out."""
    return _contacts(await tx.fetch(_SQL["lock_shared"], *columns(list(set(keys)), 2)))


async def lock_for_update(tx: Connection, keys: Iterable[ContactKey]) -> dict[ContactKey, Contact]:
    """Contacts, locked so that no other transaction can judge a message for them. Unknown ones are left out."""
    unique = list(set(keys))
    await lock_buckets(tx, unique)
    return _contacts(await tx.fetch(_SQL["lock_for_update"], *columns(unique, 2)))


async def lock_for_change(tx: Connection, keys: Collection[ContactKey]) -> None:
    """Contacts, locked so that no other transaction can change them; messages may still be judged by their histories.
    Unknown ones are left out.
    """
    if keys:
        await tx.execute(_SQL["lock_for_change"], *columns(list(keys), 2))


async def lock_buckets(tx: Connection, keys: Iterable[ContactKey]) -> None:
    """Locks contacts so that no other transaction can judge a message for them."""
    if ids := [contact_id for _, contact_id in keys]:
        await tx.execute(_SQL["lock_buckets"], ids)


async def lock_present(tx: Connection, keys: Iterable[ContactKey]) -> dict[ContactKey, Contact]:
    """As `lock_for_update`; of a contact that was merged away the survivor, under both keys."""
    locked = await lock_for_update(tx, keys)
    present = {(c.workspace_id, c.merged_into) for c in locked.values() if c.merged_into is not None}
    if missing := present - locked.keys():
        locked |= await lock_for_update(tx, missing)
    if any(locked[key].merged_into is not None for key in present):
        raise RetryBatch("a contact was merged while those that were merged into it were being locked")
    return {key: c if c.merged_into is None else locked[c.workspace_id, c.merged_into] for key, c in locked.items()}


async def present(tx: Connection, keys: Collection[ContactKey]) -> dict[ContactKey, ContactKey]:
    """Who these contacts are now, without a lock: of those that were merged away the survivor. Unknown ones stay."""
    rows = await tx.fetch(_SQL["present"], *columns(list(keys), 2)) if keys else ()
    return {key: key for key in keys} | {(w, contact_id): (w, survivor) for w, contact_id, survivor in rows}


async def merged_into(tx: Connection, keys: Collection[ContactKey]) -> dict[ContactKey, list[ContactKey]]:
    """The contacts that were merged into these, which are locked."""
    found: defaultdict[ContactKey, list[ContactKey]] = defaultdict(list)
    for workspace_id, survivor, contact_id in await tx.fetch(_SQL["merged_into"], *columns(list(keys), 2)):
        found[workspace_id, survivor].append((workspace_id, contact_id))
    return found


async def mark_unpublished(tx: Connection, keys: Iterable[ContactKey]) -> None:
    """Marks contacts whose record on contacts.changes may be older than their row."""
    if unique := list(set(keys)):
        await tx.execute(_SQL["mark_unpublished"], *columns(unique, 2))


async def save_blocks(
    tx: Connection,
    histories: Mapping[ContactKey, Sequence[Interval]],
    known_since: Mapping[ContactKey, datetime | None] = MappingProxyType({}),
) -> None:
    """Replaces the intervals of contacts that are locked for update; `known_since` is for those whose row has not all
    of them.
    """
    rows: list[tuple[Any, ...]] = []
    for (workspace_id, contact_id), intervals in sorted(histories.items()):
        current = blocked_now(intervals)
        ranges = msgspec.json.encode([(i.start, i.end) for i in intervals]).decode()
        start, by = (current.start, current.blocked_by) if current else (None, None)
        rows.append((workspace_id, contact_id, start, by, ranges, known_since.get((workspace_id, contact_id))))
    if rows:
        await tx.execute(_SQL["save_blocks"], *columns(rows, 6))


async def open_conversations(tx: Connection, opened: Mapping[ContactKey, datetime | None]) -> None:
    """Sets the event time of the message that opened a conversation; None: the message that had opened it is now
    dropped.
    """
    if opened:
        await tx.execute(_SQL["open_conversations"], *columns([(*k, at) for k, at in opened.items()], 3))


async def connect(tx: Connection, connected: Mapping[tuple[str, int], tuple[datetime, str]]) -> None:
    """First interactions: (workspace_id, identity_id) -> event time, channel_id."""
    if connected:
        await tx.execute(_SQL["connect_identities"], *columns([(*k, *v) for k, v in connected.items()], 4))


async def opt(tx: Connection, opted: Mapping[tuple[str, int], tuple[datetime, UUID, bool]]) -> None:
    """Opt-outs and opt-ins: (workspace_id, identity_id) -> event time, message id, opted out. The last write wins."""
    if opted:
        rows = [(*key, out, at, by) for key, (at, by, out) in opted.items()]
        await tx.execute(_SQL["opt"], *columns(rows, 5))


async def respell(tx: Connection, spelled: Mapping[tuple[str, int], tuple[datetime, UUID, str]]) -> set[ContactKey]:
    """Spellings of identities: (workspace_id, identity_id) -> event time, message id, address. Returns the contacts
    whose spelling changed.

    Stored later messages decide the present spelling. Of two at the same time the later transaction decides.
    """
    if not spelled:
        return set()
    await tx.execute(_SQL["lock_identities"], *columns(list(spelled), 2))
    rows = [(*key, *value) for key, value in spelled.items()]
    return {
        (workspace_id, contact_id) for workspace_id, contact_id in await tx.fetch(_SQL["respell"], *columns(rows, 5))
    }


async def raise_revisions(tx: Connection, keys: Collection[ContactKey]) -> None:
    """Raises the revision of contacts that changed outside of their row."""
    if keys:
        await tx.execute(_SQL["raise_revisions"], *columns(list(keys), 2))


async def rename(tx: Connection, said: Mapping[Said, str | None]) -> set[ContactKey]:
    """Saves name, language or picture of locked contacts; None clears the value. Returns the contacts concerned."""
    if said:
        await tx.execute(_SQL["rename"], *columns([(*what, value) for what, value in said.items()], 4))
    return {(workspace_id, contact_id) for workspace_id, contact_id, _ in said}


async def unpublished(tx: Connection, limit: int) -> list[Mapping[str, Any]]:
    """The present rows of contacts with unpublished changes. `revision` None: deleted."""
    return list(await tx.fetch(_SQL["unpublished"], limit))


async def revisions(tx: Connection, keys: Collection[ContactKey]) -> dict[ContactKey, int]:
    """Revisions of the contacts that exist."""
    ordered = list(keys)
    rows = await tx.fetch(_SQL["contact_revisions"], *columns(ordered, 2))
    return {ordered[position - 1]: revision for position, revision in rows}


async def mark_for_repair(tx: Connection, keys: Collection[ContactKey]) -> None:
    """Marks keys whose record on contacts.changes is wrong, also if there is no such contact."""
    await tx.execute(_SQL["mark_for_repair"], *columns(list(keys), 2))


async def clear_unpublished(tx: Connection, marks: Sequence[tuple[str, UUID, int]]) -> None:
    """Deletes these marks, unless the contact changed again meanwhile."""
    await tx.execute(_SQL["clear_unpublished"], *columns(marks, 3))


async def add_identities(tx: Connection, rows: Sequence[Sequence[Any]]) -> dict[UUID, int]:
    """Stores identities: each a key, then address, channel_id, contact_id and the time of the connection.

    Returns the ids by contact of those that were new. Waits for a transaction that stores the same one.
    """
    return dict(await tx.fetch(_SQL["add_identities"], *texts_first(rows, 6, 8)))


def _contacts(rows: Iterable[Any]) -> dict[ContactKey, Contact]:
    found = (contact_of(*row) for row in rows)
    return {(contact.workspace_id, contact.contact_id): contact for contact in found}


def contact_of(
    workspace_id: str,
    contact_id: UUID,
    conversation_id: UUID,
    profile_id: str | None,
    profile_at: datetime | None,
    blocks: Sequence[Any] | None,
    blocks_since: datetime | None,
    blocked_by: str | None,
    *others: Any,
) -> Contact:
    """A contact from a row of the locking statements. Unpacking is the fastest way to read one."""
    intervals = intervals_of(blocks, blocked_by) if blocks else ()
    return Contact(workspace_id, contact_id, conversation_id, profile_id, profile_at, intervals, blocks_since, *others)


def intervals_of(blocks: Sequence[Any] | None, blocked_by: str | None = None) -> tuple[Interval, ...]:
    """Block intervals from ranges; None: there are none."""
    return (
        ()
        if not blocks
        else tuple(Interval(b.lower, b.upper, (blocked_by or "") if b.upper is None else "") for b in blocks)
    )
