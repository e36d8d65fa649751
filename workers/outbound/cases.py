"""What sends are judged by, loaded set by set under the locks of the contacts they concern."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from workers.errors import RetryBatch
from workers.rules.channels import Aim, Reachable, Unreachable, state
from workers.rules.contact import Contact
from workers.rules.protection import Ground
from workers.rules.sends import Case, Person
from workers.runtime.batch import Connection
from workers.store import contacts, protections, sends
from workers.store.contacts import ContactKey, IdentityKey
from workers.store.sends import Owner, RunKey, Send, SendKey


@dataclass(frozen=True, slots=True)
class Subject:
    """A send as far as judging it goes. `contact_id` None: nobody it could be for."""

    workspace_id: str
    contact_id: UUID | None
    channel: str
    aim: Aim
    run_id: str | None
    requested_at: datetime

    @property
    def contact_key(self) -> ContactKey | None:
        return (self.workspace_id, self.contact_id) if self.contact_id is not None else None

    @property
    def identity_key(self) -> IdentityKey | None:
        if self.aim.scope is None or self.aim.lookup is None:
            return None
        return IdentityKey(self.workspace_id, self.channel, self.aim.scope, self.aim.lookup)

    @property
    def run_key(self) -> RunKey | None:
        return (self.workspace_id, self.run_id) if self.run_id is not None else None


@dataclass(frozen=True, slots=True)
class Locked:
    """People whose block history cannot change until the transaction ends, and who owns which address."""

    contacts: Mapping[ContactKey, Contact]
    owners: Mapping[IdentityKey, Owner]


async def lock_people(tx: Connection, keys: Collection[ContactKey], addresses: Collection[IdentityKey]) -> Locked:
    """Lock contacts and the owners of addresses, in one sorted statement.

    Raises:
        RetryBatch: an address changed hands while its owner was waited for.
    """
    seen = await sends.owners(tx, addresses)
    wanted = {*keys, *((key.workspace_id, owner.contact_id) for key, owner in seen.items())}
    locked = await contacts.lock_shared(tx, wanted)
    owners = await sends.owners(tx, addresses)
    if any((key.workspace_id, owner.contact_id) not in locked for key, owner in owners.items()):
        raise RetryBatch("an address changed hands while its owner was being locked")
    return Locked(locked, owners)


async def load(tx: Connection, subjects: Mapping[SendKey, Subject]) -> dict[SendKey, Case]:
    """The case of each send."""
    people = await lock_people(
        tx,
        {k for s in subjects.values() if (k := s.contact_key) is not None},
        {i for s in subjects.values() if (i := s.identity_key) is not None},
    )
    attached = {key for key, contact in people.contacts.items() if contact.profile_id is not None}
    grounds = await protections.grounds(tx, attached)
    runs = {r for s in subjects.values() if (r := s.run_key) is not None}
    halted = await sends.halted_runs(tx, runs)
    return {key: _case(subject, people, grounds, halted) for key, subject in subjects.items()}


def subject_of(send: Send) -> Subject:
    """A stored send, to be judged again."""
    if send.scope is None or send.lookup is None or send.address is None:
        aim: Aim = Unreachable("contact_must_initiate")
    else:
        aim = Reachable(send.scope, send.lookup, send.address)
    return Subject(send.workspace_id, send.contact_id, send.channel, aim, send.run_id, send.requested_at)


def _case(
    subject: Subject,
    people: Locked,
    grounds: Mapping[ContactKey, tuple[Ground, ...]],
    halted: Collection[RunKey],
) -> Case:
    identity_key, contact_key = subject.identity_key, subject.contact_key
    owner = people.owners.get(identity_key) if identity_key is not None else None
    concerned = {contact_key} if contact_key is not None else set()
    if owner is not None:
        concerned.add((subject.workspace_id, owner.contact_id))
    return Case(
        requested_at=subject.requested_at,
        aim=_still(subject, owner),
        people=tuple(_person(people.contacts.get(key), grounds.get(key, ())) for key in sorted(concerned)),
        opted_out=owner is not None and owner.opted_out,
        run_halted=subject.run_key in halted,
    )


def _person(contact: Contact | None, grounds: tuple[Ground, ...]) -> Person:
    if contact is None:
        return Person(deleted=True)
    return Person(contact.intervals, grounds)


def _still(subject: Subject, owner: Owner | None) -> Aim:
    # A channel may have been removed since the send was asked for.
    aim = subject.aim
    if isinstance(aim, Unreachable):
        return aim
    if state(subject.channel, owner.connected_at if owner is not None else None) == "unavailable":
        return Unreachable("contact_must_initiate", aim.scope, aim.lookup, aim.address)
    return aim
