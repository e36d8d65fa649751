"""Contacts and their identities: found, made, and locked.

Who reads a block history to judge a message holds the contact's row of `contact_locks` (`workers.store.senders`); who
judges anything else by it holds the contact itself for KEY SHARE; who changes it holds both for UPDATE, the lock first.
A history is read by a statement that began after the wait for the lock, or from the locked row itself: what was read
before may be too old. Rows are sorted by the statements themselves: Python would compare ids far more slowly.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import msgspec
from msgspec import Struct

from workers.rules.blocks import Interval, blocked_now
from workers.rules.contact import Contact
from workers.rules.identities import Identity
from workers.runtime.batch import Connection
from workers.store.arrays import columns, texts_first
from workers.store.queries import load

_SQL = load("contacts")

ContactKey = tuple[str, UUID]


class IdentityKey(NamedTuple):
    """What makes an identity unique."""

    workspace_id: str
    channel: str
    scope: str
    lookup: str


class Owned(Struct, frozen=True, gc=False):
    """A stored identity and the contact it belongs to."""

    identity_id: int
    contact_id: UUID
    connected_at: datetime | None


def key_of(workspace_id: str, identity: Identity) -> IdentityKey:
    return IdentityKey(workspace_id, identity.channel, identity.scope, identity.lookup)


def contact_key(contact: Contact) -> ContactKey:
    return contact.workspace_id, contact.contact_id


async def find(tx: Connection, keys: Collection[IdentityKey]) -> dict[IdentityKey, Owned]:
    """The identities that exist."""
    ordered = list(keys)
    rows = await tx.fetch(_SQL["find_identities"], *columns(ordered, 4))
    return {
        ordered[position - 1]: Owned(identity_id, contact_id, connected_at)
        for position, identity_id, contact_id, connected_at in rows
    }


async def find_or_add(
    tx: Connection, wanted: Mapping[IdentityKey, tuple[Identity, str | None]]
) -> tuple[dict[IdentityKey, Owned], set[ContactKey]]:
    """The identities of `wanted` (key -> identity, channel_id of the interaction), and the contacts made for new ones.

    A contact made here has its phone, e-mail and country from the address. Two transactions that meet one new address
    at once agree on one contact: the second waits and takes the first one's.
    """
    owned = await find(tx, wanted.keys())
    missing = sorted(wanted.keys() - owned.keys())
    if not missing:
        return owned, set()
    rows = [(*key, wanted[key][0].address, wanted[key][1], uuid4(), None) for key in missing]
    won = await add_identities(tx, rows)
    made = {key: Owned(won[row[6]], row[6], None) for key, row in zip(missing, rows, strict=True) if row[6] in won}
    fresh = [(key.workspace_id, owner.contact_id, *_reach(wanted[key][0])) for key, owner in made.items()]
    await tx.execute(_SQL["add_contacts"], *columns(fresh, 5))
    owned |= made
    if lost := [key for key in missing if key not in made]:
        owned |= await find(tx, lost)
    return owned, {(key.workspace_id, owner.contact_id) for key, owner in made.items()}


def _reach(identity: Identity) -> tuple[str | None, str | None, str | None]:
    return identity.phone, identity.email, identity.country


async def lock_shared(tx: Connection, keys: Iterable[ContactKey]) -> dict[ContactKey, Contact]:
    """Contacts whose block history cannot change until the transaction ends. Unknown ones are left out."""
    return _contacts(await tx.fetch(_SQL["lock_shared"], *columns(list(set(keys)), 2)))


async def lock_for_update(tx: Connection, keys: Iterable[ContactKey]) -> dict[ContactKey, Contact]:
    """Contacts nobody else may judge a message for until the transaction ends. Unknown ones are left out."""
    rows = columns(list(set(keys)), 2)
    await tx.execute(_SQL["lock_buckets"], rows[1])
    return _contacts(await tx.fetch(_SQL["lock_for_update"], *rows))


async def lock_for_change(tx: Connection, keys: Collection[ContactKey]) -> None:
    """Contacts nobody else may change until the transaction ends; messages may still be judged by their histories."""
    if keys:
        await tx.execute(_SQL["lock_for_change"], *columns(list(keys), 2))


async def mark_dirty(tx: Connection, keys: Iterable[ContactKey]) -> None:
    """What contacts.changes says of these contacts may be older than their rows."""
    if unique := list(set(keys)):
        await tx.execute(_SQL["mark_dirty"], *columns(unique, 2))


async def save_blocks(tx: Connection, histories: Mapping[ContactKey, Sequence[Interval]]) -> None:
    """Replace the block histories of contacts locked for update."""
    rows: list[tuple[Any, ...]] = []
    for (workspace_id, contact_id), intervals in sorted(histories.items()):
        current = blocked_now(intervals)
        ranges = msgspec.json.encode([(i.start, i.end) for i in intervals]).decode()
        start, by = (current.start, current.blocked_by) if current else (None, None)
        rows.append((workspace_id, contact_id, start, by, ranges))
    if rows:
        await tx.execute(_SQL["save_blocks"], *columns(rows, 5))


async def open_conversations(tx: Connection, opened: Mapping[ContactKey, datetime | None]) -> None:
    """Conversations that a message opened, with its event time; None: what had opened it lies in a block."""
    if opened:
        await tx.execute(_SQL["open_conversations"], *columns([(*k, at) for k, at in opened.items()], 3))


async def connect(tx: Connection, connected: Mapping[tuple[str, int], tuple[datetime, str]]) -> None:
    """First interactions: (workspace_id, identity_id) -> event time, channel_id."""
    if connected:
        await tx.execute(_SQL["connect_identities"], *columns([(*k, *v) for k, v in connected.items()], 4))


async def opt(tx: Connection, opted: Mapping[tuple[str, int], tuple[datetime, UUID, bool]]) -> None:
    """Opt-outs and opt-ins: (workspace_id, identity_id) -> event time, message id, opted out. The later one wins."""
    if opted:
        rows = [(*key, out, at, by) for key, (at, by, out) in opted.items()]
        await tx.execute(_SQL["opt"], *columns(rows, 5))


async def rename(tx: Connection, names: Mapping[ContactKey, tuple[str | None, str | None, str | None]]) -> None:
    """Display name, language and avatar as channels tell them; None leaves what is there."""
    if names:
        await tx.execute(_SQL["rename"], *columns([(*k, *v) for k, v in names.items()], 5))


async def dirty(tx: Connection, limit: int) -> list[Mapping[str, Any]]:
    """Contacts that changed since contacts.changes was last written, as they are now; `revision` None: gone."""
    return list(await tx.fetch(_SQL["dirty"], limit))


async def revisions(tx: Connection, keys: Collection[ContactKey]) -> dict[ContactKey, int]:
    """Revisions of the contacts that exist."""
    ordered = list(keys)
    rows = await tx.fetch(_SQL["contact_revisions"], *columns(ordered, 2))
    return {ordered[position - 1]: revision for position, revision in rows}


async def mark_for_repair(tx: Connection, keys: Collection[ContactKey]) -> None:
    """What contacts.changes says of these keys is not so, also where there is no such contact."""
    await tx.execute(_SQL["mark_for_repair"], *columns(list(keys), 2))


async def clear_dirty(tx: Connection, marks: Sequence[tuple[str, UUID, int]]) -> None:
    """Forget these marks, unless the contact changed again meanwhile."""
    await tx.execute(_SQL["clear_dirty"], *columns(marks, 3))


async def add_identities(tx: Connection, rows: Sequence[Sequence[Any]]) -> dict[UUID, int]:
    """Store identities, each a key, then address, channel_id, contact_id and since when it is connected.

    Their ids by contact, of those that nobody had. Whoever is storing the same one is waited for.
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
    blocked_by: str | None,
    *others: Any,
) -> Contact:
    """A contact from a row of the statements that lock: unpacking is the fastest way to read one."""
    intervals = _intervals(blocks, blocked_by) if blocks else ()
    return Contact(workspace_id, contact_id, conversation_id, profile_id, profile_at, intervals, *others)


def _intervals(blocks: Sequence[Any], blocked_by: str | None) -> tuple[Interval, ...]:
    return tuple(Interval(b.lower, b.upper, (blocked_by or "") if b.upper is None else "") for b in blocks)
