"""Who owns an address, and from when to when: a row of `identities` is an address while one contact has it.

The contacts are locked for update in an earlier statement: nobody stores a message of theirs meanwhile.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from workers.rules.contact import ContactKey
from workers.rules.last_write_wins import WriteStamp
from workers.store.arrays import columns
from workers.store.connection import Connection
from workers.store.contacts import IdentityKey
from workers.store.queries import load as queries
from workers.store.write_stamps import columns_of, stamp_of

_SQL = queries("ownership")


class OwnedAddress(Struct, frozen=True, gc=False):
    """An address that a contact has in [began_at, ended_at). `removed`: the command that took it away. `home_id`: whose
    blocks judge its messages.
    """

    key: IdentityKey
    identity_id: int
    address: str
    contact_id: UUID
    home_id: UUID
    began_at: datetime | None
    ended_at: datetime | None
    removed: WriteStamp | None

    @property
    def contact_key(self) -> ContactKey:
        return self.key.workspace_id, self.contact_id

    @property
    def home_key(self) -> ContactKey:
        return self.key.workspace_id, self.home_id


class Misplaced(Struct, frozen=True, gc=False):
    """A message of an address from before or after the time in which `owner`, who may be deleted, had it."""

    owner: ContactKey
    identity_id: int
    key: IdentityKey
    address: str
    generation: int
    message_id: UUID
    channel_id: str
    event_time: datetime
    counted: bool


async def load(tx: Connection, ids: Collection[tuple[str, int]]) -> dict[tuple[str, int], OwnedAddress]:
    """Addresses by (workspace_id, identity_id)."""
    rows = await tx.fetch(_SQL["load"], *columns(list(ids), 2)) if ids else ()
    return {(o.key.workspace_id, o.identity_id): o for o in map(_owned, rows)}


async def removed_from(tx: Connection, contacts: Collection[ContactKey]) -> list[OwnedAddress]:
    """The addresses that commands removed, and whose messages the blocks of these contacts judge."""
    return [_owned(row) for row in await tx.fetch(_SQL["removed_from"], *columns(list(contacts), 2))]


async def following(tx: Connection, owned: OwnedAddress, at: datetime) -> OwnedAddress | None:
    """Who has the address next, from that time on or later."""
    row = await tx.fetchrow(_SQL["following"], *owned.key, at, owned.identity_id)
    return None if row is None else _owned(row)


async def save(tx: Connection, owned: Iterable[OwnedAddress]) -> None:
    """Saves begin, end and removal of these addresses, and notes that addresses of their contacts moved."""
    rows = [
        (o.key.workspace_id, o.identity_id, o.began_at, o.ended_at, *columns_of(o.removed), o.contact_id) for o in owned
    ]
    if rows:
        *values, contacts = columns(rows, 7)
        await tx.execute(_SQL["save"], *values)
        await note_moved(tx, contacts)


async def note_moved(tx: Connection, contact_ids: Sequence[UUID]) -> None:
    """Tells those who found a sender among these contacts, and wait for its lock, to look again."""
    await tx.execute(_SQL["note_moved"], contact_ids)


async def misplaced(
    tx: Connection, workspace_id: str, identities: Collection[int], deleted: Collection[UUID], limit: int
) -> list[Misplaced]:
    """Messages of these addresses, and of all addresses of these deleted contacts, that are not of their time: the
    oldest ones, at most `limit`. Sends are none: they were meant for the contact of then.
    """
    rows = await tx.fetch(_SQL["misplaced"], workspace_id, list(identities), list(deleted), limit)
    return [_misplaced(workspace_id, *row) for row in rows]


async def count_misplaced(tx: Connection, workspace_id: str, identity_id: int) -> int:
    """The number of messages of an address that are not of its time."""
    return int(await tx.fetchval(_SQL["count_misplaced"], workspace_id, identity_id))


async def give(tx: Connection, given: Iterable[tuple[int, UUID, int, bool]]) -> None:
    """Gives messages to other identities: generation, message id, identity id, and whether the content goes."""
    await tx.execute(_SQL["give"], *columns(list(given), 4))


def _misplaced(
    workspace_id: str,
    contact_id: UUID,
    identity_id: int,
    channel: str,
    scope: str,
    lookup: str,
    address: str,
    *message: Any,
) -> Misplaced:
    key = IdentityKey(workspace_id, channel, scope, lookup)
    return Misplaced((workspace_id, contact_id), identity_id, key, address, *message)


def _owned(row: Sequence[object]) -> OwnedAddress:
    workspace_id, channel, scope, lookup, identity_id, address, contact_id, home_id, began_at, ended_at, at, by = row
    key = IdentityKey(workspace_id, channel, scope, lookup)  # type: ignore[arg-type]
    owner = contact_id, home_id or contact_id
    return OwnedAddress(key, identity_id, address, *owner, began_at, ended_at, stamp_of(at, by))  # type: ignore[arg-type]
