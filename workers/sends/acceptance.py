"""Effects of an accepted send: it joins the conversation, connects the channel, counts (contract 4.5, 5.2)."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID, uuid4

from workers.billing.cycles import beginnings
from workers.errors import RetryBatch
from workers.messages import recounting
from workers.process.tasks import paced
from workers.rules.contact import Contact, ContactKey
from workers.rules.cycles import Cycle
from workers.rules.inbound import Facts, judge
from workers.sends.accepted_messages import (
    Acceptance,
    AcceptedMessage,
    changes_of,
    message_row,
    moved,
    proof,
    says_else,
)
from workers.sends.context import Locked
from workers.sends.provider_ids import ProviderIds
from workers.store import blocks, contacts, mac, messages, sends, workspaces
from workers.store.connection import Connection
from workers.store.contacts import IdentityKey
from workers.store.sends import AddressOwner, Send, SendKey
from workers.store.workspaces import Workspace


async def accept(
    tx: Connection,
    acceptances: Sequence[Acceptance],
    people: Locked,
    tenants: Mapping[str, Workspace],
    ids: ProviderIds,
    now: datetime,
) -> None:
    """Saves what follows from acceptances. The rows of the sends are saved already.

    Raises:
        RetryBatch: another transaction stored one of the messages, or gave an address to somebody, meanwhile.
    """
    if not acceptances and not ids.conflicts:
        return
    living = [a for a in acceptances if _present(a.send, people) in people.contacts]
    owners = await _link(tx, living, people)
    await contacts.opt(tx, _stops(acceptances, owners))
    owners_of, locked = await _receivers(tx, acceptances, owners, people)
    moments = (
        ((a.send.workspace_id, owners_of[a.send.key].contact_id), a.accepted_at)
        for a in acceptances
        if a.accepted_at is not None and a.send.key in owners_of
    )
    known = await blocks.reaching(tx, locked, moments)
    accepted = [m async for a in paced(acceptances) if (m := _message(a, owners_of, known, tenants)) is not None]
    await messages.count_conflicts(tx, ids.conflicts + Counter(m.key for m in accepted if says_else(m)), now)
    if not accepted:
        return
    accepted.sort(key=lambda m: m.at, reverse=True)  # of several sends to one address the earliest one stays
    connected = {(m.send.workspace_id, m.owner.identity_id): (m.at, m.send.channel_id) for m in accepted}
    await contacts.connect(tx, connected)
    begun, cycles = beginnings(((m.send.workspace_id, m.at) for m in accepted), tenants, now)
    await _store(tx, accepted, tenants, ids, cycles)
    # Last, because a poll that waits for this lock may hold rows that this one still needs.
    await workspaces.note_first_messages(tx, begun, now)


def _present(send: Send, people: Locked) -> ContactKey | None:
    """Who the contact of a send is now."""
    return None if send.contact_id is None else people.present[send.workspace_id, send.contact_id]


async def _link(tx: Connection, acceptances: Sequence[Acceptance], people: Locked) -> dict[IdentityKey, AddressOwner]:
    """Owners of the addresses. A number or e-mail address in a contact's fields becomes an identity of the
    contact now.

    Raises:
        RetryBatch: another transaction gave it to somebody else meanwhile.
    """
    links = {
        key: (a.send.address, present[1])
        for a in acceptances
        if (key := a.send.identity_key) is not None
        and key not in people.owners
        and a.send.address is not None
        and (present := _present(a.send, people)) is not None
    }
    if not links:
        return dict(people.owners)
    await sends.link_identities(tx, links)
    await contacts.mark_unpublished(tx, {(key.workspace_id, contact_id) for key, (_, contact_id) in links.items()})
    linked = await sends.owners(tx, links.keys())
    if any((key.workspace_id, owner.contact_id) not in people.contacts for key, owner in linked.items()):
        raise RetryBatch("an address got an owner while it was being linked to the contact of its send")
    return {**people.owners, **linked}


def _stops(
    acceptances: Sequence[Acceptance], owners: Mapping[IdentityKey, AddressOwner]
) -> dict[tuple[str, int], tuple[datetime, UUID, bool]]:
    stops: dict[tuple[str, int], tuple[datetime, UUID, bool]] = {}
    for a in acceptances:
        key = a.send.identity_key
        if a.stopped_at is not None and key is not None and key in owners:
            identity = key.workspace_id, owners[key].identity_id
            stop = a.stopped_at, a.send.send_id, True
            stops[identity] = max(stops.get(identity, stop), stop)
    return stops


async def _receivers(
    tx: Connection, acceptances: Sequence[Acceptance], owners: Mapping[IdentityKey, AddressOwner], people: Locked
) -> tuple[dict[SendKey, AddressOwner], Mapping[ContactKey, Contact]]:
    """Whose message each send is: of a stored one that of its address then, else of its address now. And everybody who
    is locked: the address may have gone to others since, so who had it then is locked only here.
    """
    stored = [a for a in acceptances if a.accepted_at is not None and a.stored_as is not None]
    then = await messages.owners(tx, {a.stored_as for a in stored if a.stored_as is not None}) if stored else {}
    had = {(a.send.workspace_id, then[a.stored_as].contact_id) for a in stored if a.stored_as in then}
    locked = people.contacts
    if others := had - locked.keys():
        locked = {**locked, **await contacts.lock_shared(tx, others)}
    found: dict[SendKey, AddressOwner] = {}
    for a in acceptances:
        key = a.send.identity_key
        owner = owners.get(key) if key is not None else None
        if a.stored_as is not None:
            owner = then.get(a.stored_as, owner)
        if owner is not None and (a.send.workspace_id, owner.contact_id) in locked:
            found[a.send.key] = owner
    return found, locked


def _message(
    acceptance: Acceptance,
    owners: Mapping[SendKey, AddressOwner],
    people: Mapping[ContactKey, Contact],
    tenants: Mapping[str, Workspace],
) -> AcceptedMessage | None:
    send, at, owner = acceptance.send, acceptance.accepted_at, owners.get(acceptance.send.key)
    if at is None or send.message_id is None or owner is None:
        return None
    kind = "broadcast" if send.source == "broadcast" else "send"
    intervals = people[send.workspace_id, owner.contact_id].intervals
    verdict = judge(Facts(kind, send.channel_id, at), intervals, tenants[send.workspace_id].calendar)
    return AcceptedMessage(acceptance, send, send.message_id, at, kind, owner, verdict)


async def _store(
    tx: Connection,
    accepted: Sequence[AcceptedMessage],
    tenants: Mapping[str, Workspace],
    ids: ProviderIds,
    cycles: Iterable[tuple[str, Cycle]],
) -> None:
    new, known = [m for m in accepted if not m.before], [m for m in accepted if m.before]
    if known:
        await contacts.lock_for_update(tx, {(m.send.workspace_id, m.owner.contact_id) for m in known})
        await messages.remove(tx, {id_ for m in known if (id_ := m.acceptance.stored_as) not in (None, m.message_id)})
        await sends.move_messages(tx, [moved(m) for m in known if m.is_stored])
    added = sorted((m for m in accepted if not m.is_stored), key=lambda m: m.key)
    await messages.add(tx, [message_row(m, ids.generation) async for m in paced(added)])
    proofs = [proof(m, tenants[m.send.workspace_id].calendar) for m in new if m.verdict.counted]
    await mac.add(tx, proofs, cycles)
    changes, late = changes_of(known, tenants)
    await mac.leave_late(tx, late)
    for active in await mac.prove_again(tx, changes):
        await recounting.leave(tx, (active.workspace_id, active.contact_id), active.cycle.start, uuid4())
