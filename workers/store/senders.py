"""Who wrote the messages of a poll: found and locked in one round trip, and made where nobody had the address.

Histories cannot change until the transaction ends: as in `workers.store.contacts`, but by the locks of contacts alone.
"""

import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from itertools import accumulate, chain
from typing import Final, NamedTuple
from uuid import UUID

from msgspec import Struct

from schemas.ids import random_ids
from workers.rules.contact import Contact
from workers.rules.identities import Identity
from workers.runtime.batch import Connection
from workers.store.arrays import columns, literal, texts_first
from workers.store.contacts import ContactKey, IdentityKey, add_identities, contact_key, contact_of
from workers.store.queries import load

_SQL = load("contacts")
_OPENED_AT: Final = 6  # in the row of a contact


class Interaction(NamedTuple):
    """The earliest one of an address in a poll."""

    identity: Identity
    channel_id: str
    at: datetime


class Sender(Struct, frozen=True, gc=False):
    """An address and its contact, which is counted in the cycle of `counted_at` by a message no later than that.

    `stranger`: nobody had the address, and all that the table will know of the contact is what this poll says.
    """

    identity_id: int
    connected_at: datetime | None
    counted_at: datetime | None
    contact: Contact
    stranger: bool = False


class Stranger(NamedTuple):
    """A contact made for an address that nobody had, and the country that the address says."""

    contact: Contact
    country: str | None


class Introduction(NamedTuple):
    """A stranger, and what a poll says of them."""

    stranger: Stranger
    opened_at: datetime | None
    display_name: str | None
    language: str | None
    avatar_url: str | None
    counted_at: datetime | None


async def find(tx: Connection, keys: Collection[IdentityKey], earliest: datetime) -> dict[IdentityKey, Sender]:
    """The senders of addresses that somebody had before; their block histories cannot change any more.

    Nothing they are asked about is before `earliest`. So what a sender is connected or open since is told as that where
    it is earlier.
    """
    groups: dict[tuple[str, str, str], list[IdentityKey]] = defaultdict(list)
    for key in keys:
        groups[key[:3]].append(key)
    starts = accumulate(map(len, groups.values()), initial=0)
    lookups = [literal([key.lookup for key in group]) for group in groups.values()]
    rows = await tx.fetch(_SQL["find_senders"], *columns(list(groups), 3), list(starts)[:-1], lookups, earliest)
    ordered = [*chain.from_iterable(groups.values())]
    met: dict[IdentityKey, Sender] = {}
    for wanted, identity_id, connected, connected_at, counted_at, is_open, *contact in rows:
        key = ordered[wanted - 1]
        if is_open:
            contact[_OPENED_AT] = earliest
        since = earliest if connected else connected_at
        met[key] = Sender(identity_id, since, counted_at, contact_of(key.workspace_id, *contact))
    return met


async def add(
    tx: Connection, new: Mapping[IdentityKey, Interaction]
) -> tuple[dict[IdentityKey, Sender], dict[ContactKey, Stranger]]:
    """The senders of addresses that nobody had, and the contacts made for them: those are the caller's to `introduce`.

    Two transactions that meet one new address at once agree on one contact: the second waits and takes the first one's.
    """
    ids = iter(random_ids(os.urandom(16 * 2 * len(new))))
    made = {
        key: Contact(key.workspace_id, next(ids), next(ids), phone=identity.phone, email=identity.email)
        for key, (identity, _, _) in new.items()
    }
    rows = [
        (*key, new[key].identity.address, new[key].channel_id, c.contact_id, new[key].at) for key, c in made.items()
    ]
    added = await add_identities(tx, rows)
    won = {
        key: Sender(added[c.contact_id], new[key].at, None, c, stranger=True)
        for key, c in made.items()
        if c.contact_id in added
    }
    lost = await find(tx, made.keys() - won.keys(), min(n.at for n in new.values())) if len(won) < len(made) else {}
    strangers = {contact_key(s.contact): Stranger(s.contact, new[key].identity.country) for key, s in won.items()}
    return won | lost, strangers


async def introduce(tx: Connection, new: Iterable[Introduction]) -> None:
    """Store the contacts of new addresses, to be told in contacts.changes."""
    rows = [
        (c.workspace_id, c.phone, c.email, country, *names, c.contact_id, c.conversation_id, opened_at, counted_at)
        for (c, country), opened_at, *names, counted_at in new
    ]
    await tx.execute(_SQL["introduce"], *texts_first(rows, 7, 11))


async def note_counted(tx: Connection, counted: Mapping[tuple[str, UUID], datetime]) -> None:
    """Contacts that are counted now, with the event time of a counted message in the newest cycle known."""
    if counted:
        await tx.execute(_SQL["note_counted"], *columns([(*key, at) for key, at in counted.items()], 3))
