"""The context of sends: what they are judged by, loaded set by set under the locks of their contacts."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from schemas.sends import SendRequest
from workers.errors import RetryBatch
from workers.process.tasks import paced
from workers.rules.channels import Aim, Nowhere, SendTarget, obstacle
from workers.rules.contact import Contact, ContactKey
from workers.rules.protection import Ground
from workers.rules.sends import Case, Person
from workers.rules.workflows import RunKey
from workers.store import address_hashes, blocks, contacts, sends
from workers.store.address_hashes import KeptAddress
from workers.store.connection import Connection
from workers.store.contacts import IdentityKey
from workers.store.sends import AddressOwner, Send, SendKey


class SendSubject(Struct, frozen=True, gc=False):
    """A send with the fields that it is judged by; `subject` makes it. `contact_id` None: no contact matches.

    `is_owners`: the contact had the address a moment ago.
    """

    workspace_id: str
    contact_id: UUID | None
    channel: str
    aim: Aim
    run_id: str | None
    requested_at: datetime
    identity_key: IdentityKey | None
    is_owners: bool

    @property
    def contact_key(self) -> ContactKey | None:
        return (self.workspace_id, self.contact_id) if self.contact_id is not None else None

    @property
    def run_key(self) -> RunKey | None:
        return (self.workspace_id, self.run_id) if self.run_id is not None else None


def subject(about: SendRequest | Send, contact_id: UUID | None, aim: Aim, *, is_owners: bool = False) -> SendSubject:
    """The subject of a request or of a stored send."""
    who = None if isinstance(aim, Nowhere) else IdentityKey(about.workspace_id, about.channel, aim.scope, aim.lookup)
    return SendSubject(
        about.workspace_id, contact_id, about.channel, aim, about.run_id, about.requested_at, who, is_owners
    )


@dataclass(frozen=True, slots=True)
class Locked:
    """Contacts whose block history cannot change until the transaction ends, and the owners of addresses. `present`:
    who each contact that was asked for is now.
    """

    contacts: Mapping[ContactKey, Contact]
    owners: Mapping[IdentityKey, AddressOwner]
    kept: Mapping[IdentityKey, Sequence[KeptAddress]] = field(default_factory=dict)
    """What deleted contacts leave with addresses that nobody has now."""
    present: Mapping[ContactKey, ContactKey] = field(default_factory=dict)


async def lock_people(
    tx: Connection,
    keys: Collection[ContactKey],
    addresses: Collection[IdentityKey],
    owned: Collection[IdentityKey] = frozenset(),
    changed: Collection[IdentityKey] = frozenset(),
) -> Locked:
    """Locks contacts and the owners of addresses, in one sorted statement. Of a contact that was merged away it locks
    the survivor. `owned`: addresses whose owners are among the contacts, so nobody need look for them. The owners of
    `changed` addresses are locked for update, before the others.

    Raises:
        RetryBatch: an address moved to another contact while this transaction waited for its owner, or a contact was
            merged.
    """
    present = await contacts.present(tx, keys)
    seen = await sends.owners(tx, set(addresses) - set(owned))
    wanted = {*present.values(), *((key.workspace_id, owner.contact_id) for key, owner in seen.items())}
    alone = {(key.workspace_id, owner.contact_id) for key, owner in seen.items() if key in changed}
    locked = await contacts.lock_for_update(tx, alone) if alone else {}
    locked |= await contacts.lock_shared(tx, wanted - alone)
    owners = await sends.owners(tx, addresses)
    if any((key.workspace_id, owner.contact_id) not in locked for key, owner in owners.items()):
        raise RetryBatch("an address moved to another contact while its owner was being locked")
    if any(contact.merged_into is not None for contact in locked.values()):
        raise RetryBatch("a contact was merged while it was being locked")
    return Locked(locked, owners, present=present)


async def load(tx: Connection, subjects: Mapping[SendKey, SendSubject]) -> dict[SendKey, Case]:
    """The context of each send."""
    people = await lock_people(
        tx,
        {k for s in subjects.values() if (k := s.contact_key) is not None},
        {i for s in subjects.values() if (i := s.identity_key) is not None},
        {i for s in subjects.values() if s.is_owners and (i := s.identity_key) is not None},
    )
    subjects = {key: _present(subject, people) for key, subject in subjects.items()}
    known = await blocks.reaching(tx, people.contacts, _moments(subjects.values(), people.owners))
    nobodys = {i for s in subjects.values() if (i := s.identity_key) is not None and i not in people.owners}
    people = Locked(known, people.owners, await address_hashes.find(tx, nobodys))
    attached = {key for key, contact in people.contacts.items() if contact.profile_id is not None}
    grounds = await sends.grounds(tx, attached)
    runs = {r for s in subjects.values() if (r := s.run_key) is not None}
    halted = await sends.halted_runs(tx, runs)
    return {key: _case(subject, people, grounds, halted) async for key, subject in paced(subjects.items())}


def _present(subject: SendSubject, people: Locked) -> SendSubject:
    key = subject.contact_key
    present = people.present[key][1] if key is not None else None
    return subject if present == subject.contact_id else replace(subject, contact_id=present)


def _moments(
    subjects: Iterable[SendSubject], owners: Mapping[IdentityKey, AddressOwner]
) -> Iterator[tuple[ContactKey, datetime]]:
    for s in subjects:
        if s.contact_key is not None:
            yield s.contact_key, s.requested_at
        if s.identity_key is not None and s.identity_key in owners:
            yield (s.workspace_id, owners[s.identity_key].contact_id), s.requested_at


def subject_of(send: Send) -> SendSubject:
    """A stored send, to be judged again."""
    if send.scope is None or send.lookup is None or send.address is None:
        aim: Aim = Nowhere("contact_must_initiate")
    else:
        aim = SendTarget(send.scope, send.lookup, send.address, send.understood)
    return subject(send, send.contact_id, aim)


def _case(
    subject: SendSubject,
    people: Locked,
    grounds: Mapping[ContactKey, tuple[Ground, ...]],
    halted: Collection[RunKey],
) -> Case:
    identity_key, contact_key = subject.identity_key, subject.contact_key
    owner = people.owners.get(identity_key) if identity_key is not None else None
    concerned = {contact_key} if contact_key is not None else set()
    if owner is not None:
        concerned.add((subject.workspace_id, owner.contact_id))
    kept = people.kept.get(identity_key, ()) if identity_key is not None else ()
    return Case(
        requested_at=subject.requested_at,
        obstacle=obstacle(subject.channel, subject.aim, owner.connected_at if owner is not None else None),
        people=(
            *(_person(people.contacts.get(key), grounds.get(key, ())) for key in sorted(concerned)),
            *(Person(k.intervals) for k in kept if k.commands),
        ),
        opted_out=(owner is not None and owner.opted_out) or any(k.opted_out for k in kept),
        run_halted=subject.run_key in halted,
    )


def _person(contact: Contact | None, grounds: tuple[Ground, ...]) -> Person:
    if contact is None:
        return Person(deleted=True)
    return Person(contact.intervals, grounds)
