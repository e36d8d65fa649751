"""The senders of a poll's messages: finds and locks them in one round trip. Inserts contacts for new addresses.

Histories cannot change until the transaction ends: as in `workers.store.contacts`, but by `contact_locks` alone.
"""

import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import accumulate, chain
from typing import Any, Final, NamedTuple
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from schemas.ids import random_ids
from workers.rules.blocks import BlockCommand, Interval, history
from workers.rules.contact import Contact, ContactKey
from workers.rules.identities import ResolvedIdentity
from workers.store import address_hashes, blocks, contacts, deletions
from workers.store.address_hashes import KeptAddress
from workers.store.arrays import columns, literal, texts_first
from workers.store.blocks import BlockRow
from workers.store.connection import Connection
from workers.store.contacts import IdentityKey, Owned, add_identities, contact_key, contact_of, intervals_of
from workers.store.queries import load

_SQL = load("contacts")
_OPENED_AT: Final = 7  # in the row of a contact


class Interaction(NamedTuple):
    """The earliest interaction of an address in a poll."""

    identity: ResolvedIdentity
    channel_id: str
    at: datetime


class Home(NamedTuple):
    """The contact that an address was of before it came by a merge: its blocks judge the messages of the address."""

    key: ContactKey
    intervals: tuple[Interval, ...]
    known_since: datetime | None


class SenderState(Struct, frozen=True, gc=False):
    """An address and its contact, which is counted in the cycle of `counted_at` by a message no later than that.

    `address`: its spelling. `is_new_contact`: the address is new, and the table will have only what this poll says of
    the contact. `began_at`: messages before that are of another contact; None: nobody had the address before. `home`
    None: the contact itself. `deleted`: the contact was deleted, and only its id is known.
    """

    identity_id: int
    address: str
    connected_at: datetime | None
    counted_at: datetime | None
    contact: Contact
    is_new_contact: bool = False
    began_at: datetime | None = None
    ended_at: datetime | None = None
    deleted: bool = False
    home: Home | None = None

    @property
    def intervals(self) -> tuple[Interval, ...]:
        """The blocks that judge its messages."""
        return self.contact.intervals if self.home is None else self.home.intervals


class FormerSender(NamedTuple):
    """Who had an address before: names a sender in place of the address, for messages of that time."""

    key: IdentityKey
    identity_id: int

    @property
    def workspace_id(self) -> str:
        return self.key.workspace_id

    @property
    def lookup(self) -> str:
        return self.key.lookup


SenderKey = IdentityKey | FormerSender


class NewContact(NamedTuple):
    """A contact for a new address, and the country of the address. `blocks`: what a deleted contact that had the
    address leaves, as long as it is blocked; the contact has the intervals. `began_at`: when that one was deleted.
    """

    contact: Contact
    country: str | None
    blocks: Sequence[BlockCommand] = ()
    began_at: datetime | None = None


class NewContactRow(NamedTuple):
    """A new contact with the values of this poll."""

    person: NewContact
    opened_at: datetime | None
    display_name: str | None
    language: str | None
    avatar_url: str | None
    counted_at: datetime | None


async def find(tx: Connection, keys: Collection[IdentityKey], earliest: datetime) -> dict[SenderKey, SenderState]:
    """The senders of known addresses. Their block histories cannot change any more.

    No message of the poll is before `earliest`. Times before `earliest` are returned as `earliest`.
    """
    groups: dict[tuple[str, str, str], list[IdentityKey]] = defaultdict(list)
    for key in keys:
        groups[key[:3]].append(key)
    starts = accumulate(map(len, groups.values()), initial=0)
    lookups = [literal([key.lookup for key in group]) for group in groups.values()]
    rows = await tx.fetch(_SQL["find_senders"], *columns(list(groups), 3), list(starts)[:-1], lookups, earliest)
    return await _senders(tx, rows, [*chain.from_iterable(groups.values())], earliest)


async def find_former(
    tx: Connection, wanted: Collection[FormerSender], earliest: datetime
) -> dict[SenderKey, SenderState]:
    """As `find`, of those who had addresses before."""
    ordered = list(wanted)
    keys = [(former.workspace_id, former.identity_id) for former in ordered]
    rows = await tx.fetch(_SQL["find_former_senders"], *columns(keys, 2), earliest) if keys else ()
    return await _senders(tx, rows, ordered, earliest)


async def _senders(
    tx: Connection, rows: Iterable[Any], ordered: Sequence[SenderKey], earliest: datetime
) -> dict[SenderKey, SenderState]:
    met: dict[SenderKey, SenderState] = {}
    specials: list[SenderKey] = []
    for wanted, identity_id, connected, connected_at, counted_at, is_open, spelled, special, *contact in rows:
        key = ordered[wanted - 1]
        if is_open:
            contact[_OPENED_AT] = earliest
        if special:
            specials.append(key)
        since = earliest if connected else connected_at
        met[key] = SenderState(
            identity_id, spelled or key.lookup, since, counted_at, contact_of(key.workspace_id, *contact)
        )
    return met | await _special(tx, {key: met[key] for key in specials}) if specials else met


async def _special(tx: Connection, met: Mapping[SenderKey, SenderState]) -> dict[SenderKey, SenderState]:
    """The senders with what only some addresses have."""
    ids = {sender.identity_id: key for key, sender in met.items()}
    found = dict(met)
    rows = await tx.fetch(_SQL["special_senders"], *columns([(k.workspace_id, id_) for id_, k in ids.items()], 2))
    for identity_id, began_at, ended_at, home_id, blocked, since in rows:
        key = ids[identity_id]
        home = None if home_id is None else Home((key.workspace_id, home_id), intervals_of(blocked), since)
        found[key] = replace(found[key], began_at=began_at, ended_at=ended_at, home=home)
    return found


def deleted_sender(former: FormerSender, kept: KeptAddress) -> SenderState:
    """A contact that was deleted, as the sender of late messages."""
    contact = Contact(former.workspace_id, kept.contact_id, kept.contact_id)
    return SenderState(former.identity_id, former.key.lookup, None, None, contact, deleted=True)


async def add(
    tx: Connection, new: Mapping[IdentityKey, Interaction]
) -> tuple[dict[SenderKey, SenderState], dict[ContactKey, NewContact]]:
    """The senders of new addresses, and their new contacts, which the caller passes to `insert_new_contacts`.

    If two transactions find one new address at once, the second one waits and takes the contact of the first one.
    """
    added = await _add(tx, new)
    won: dict[SenderKey, SenderState] = {
        key: SenderState(
            identity_id,
            new[key].identity.address,
            new[key].at,
            None,
            person.contact,
            is_new_contact=True,
            began_at=person.began_at,
        )
        for key, (identity_id, person) in added.items()
    }
    lost = await find(tx, new.keys() - won.keys(), min(n.at for n in new.values())) if len(won) < len(new) else {}
    return won | lost, {contact_key(person.contact): person for _, person in added.values()}


async def find_or_add(
    tx: Connection, wanted: Mapping[IdentityKey, tuple[ResolvedIdentity, str | None]]
) -> tuple[dict[IdentityKey, Owned], Collection[IdentityKey]]:
    """The identities of addresses that a user named, perhaps on a channel, and which of them are new. Inserts contacts
    for those, without an interaction, and marks them for contacts.changes.
    """
    owned = await contacts.find(tx, wanted.keys())
    if not (missing := {key: (*named, None) for key, named in wanted.items() if key not in owned}):
        return owned, ()
    await deletions.free_addresses(tx, missing.keys())
    added = await _add(tx, missing)
    await insert_new_contacts(tx, (NewContactRow(person, *[None] * 5) for _, person in added.values()))
    owned |= {key: Owned(identity_id, person.contact.contact_id, None) for key, (identity_id, person) in added.items()}
    owned |= await contacts.find(tx, missing.keys() - added.keys()) if len(added) < len(missing) else {}
    return owned, added.keys()


async def _add(
    tx: Connection, new: Mapping[IdentityKey, tuple[ResolvedIdentity, str | None, datetime | None]]
) -> dict[IdentityKey, tuple[int, NewContact]]:
    """Stores the identities that no other transaction stored meanwhile. Returns their ids and contacts. A contact has
    phone, e-mail and country of its address, and is not inserted yet.
    """
    ids = iter(random_ids(os.urandom(16 * 2 * len(new))))
    people = {
        key: Contact(key.workspace_id, next(ids), next(ids), phone=identity.phone, email=identity.email)
        for key, (identity, _, _) in new.items()
    }
    rows = [
        (*key, identity.address, channel_id, people[key].contact_id, at)
        for key, (identity, channel_id, at) in new.items()
    ]
    added = await add_identities(tx, rows)
    stored = {key: added[c.contact_id] for key, c in people.items() if c.contact_id in added}
    kept = await address_hashes.pass_on(tx, stored)
    return {key: (id_, _new_contact(people[key], new[key][0], kept.get(key, ()))) for key, id_ in stored.items()}


def _new_contact(contact: Contact, identity: ResolvedIdentity, kept: Sequence[KeptAddress]) -> NewContact:
    if not kept:
        return NewContact(contact, identity.country)
    commands = {command for k in kept for command in k.commands}
    blocked = replace(contact, intervals=history(commands))
    return NewContact(blocked, identity.country, tuple(commands), kept[0].ended_at)


async def insert_new_contacts(tx: Connection, new: Iterable[NewContactRow]) -> None:
    """Inserts the contacts of new addresses and marks them for contacts.changes."""
    new = list(new)
    rows = [
        (c.workspace_id, c.phone, c.email, country, *names, c.contact_id, c.conversation_id, opened_at, counted_at)
        for (c, country, *_), opened_at, *names, counted_at in new
    ]
    await tx.execute(_SQL["insert_new"], *texts_first(rows, 7, 11))
    if blocked := [row.person for row in new if row.person.blocks]:
        await blocks.add(tx, [BlockRow(*contact_key(p.contact), command) for p in blocked for command in p.blocks])
        await contacts.save_blocks(tx, {contact_key(p.contact): p.contact.intervals for p in blocked})


async def note_counted(tx: Connection, counted: Mapping[tuple[str, UUID], datetime]) -> None:
    """Notes that contacts are counted, with the event time of a counted message in the newest known cycle."""
    if counted:
        await tx.execute(_SQL["note_counted"], *columns([(*key, at) for key, at in counted.items()], 3))
