"""Effects of an accepted send: it joins the conversation, connects the channel, counts (contract 4.5, 5.2)."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec

from schemas.ids import content_digest, is_repeat, whom
from schemas.inbound import Content
from workers.billing.cycles import beginnings
from workers.errors import RetryBatch
from workers.messages import recounting
from workers.rules.contact import Contact, ContactKey
from workers.rules.cycles import Cycle
from workers.rules.inbound import Facts, MessageVerdict, judge
from workers.rules.mac import Evidence
from workers.sends.context import Locked
from workers.sends.provider_ids import ProviderIds
from workers.store import blocks, contacts, mac, messages, sends, workspaces
from workers.store.connection import Connection
from workers.store.contacts import IdentityKey
from workers.store.mac import Active, Change, Proof
from workers.store.messages import Echo, MessageKey, MessageRow
from workers.store.sends import AddressOwner, Send, SendKey
from workers.store.workspaces import Workspace
from workers.tasks import paced


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What receipts of one transaction change of a send besides its status.

    `accepted_before` and `stored_as`: of the message that is stored already. `accepted_at` None: neither the time of
    the first acceptance nor the message's id changed. `echo`: is this message, and came first. `stopped_at`: the
    contact opted out.
    """

    send: Send
    accepted_before: datetime | None = None
    stored_as: UUID | None = None
    accepted_at: datetime | None = None
    echo: Echo | None = None
    stopped_at: datetime | None = None
    shard: str = ""

    def having(self, **changed: Any) -> "Acceptance":
        return replace(self, **changed)


@dataclass(frozen=True, slots=True)
class _Message:
    """An accepted send as a message of the owner of its address."""

    acceptance: Acceptance
    send: Send
    message_id: UUID
    at: datetime
    kind: str
    owner: AddressOwner
    verdict: MessageVerdict

    @property
    def key(self) -> MessageKey:
        return self.send.workspace_id, self.message_id

    @property
    def before(self) -> list[tuple[datetime, UUID]]:
        """Time and id of what is stored of it already: of the send, and of its echo."""
        a, found = self.acceptance, []
        if a.accepted_before is not None and a.stored_as is not None:
            found.append((a.accepted_before, a.stored_as))
        return found if a.echo is None else [*found, (a.echo.event_time, self.message_id)]

    @property
    def is_stored(self) -> bool:
        """Whether there is a message with its id: the send's own, or its echo."""
        return self.acceptance.echo is not None or self.acceptance.stored_as == self.message_id

    @property
    def content(self) -> Content:
        return msgspec.json.decode(self.send.content, type=Content)

    @property
    def digest(self) -> int:
        """The digest of the same message as an echo: an echo with the same content is a repeat and no conflict."""
        known = self.send.identity_key
        return content_digest("echo", self.content, whom(known) if known is not None else b"")


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
    await messages.count_conflicts(tx, ids.conflicts + Counter(m.key for m in accepted if _says_else(m)), now)
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
) -> _Message | None:
    send, at, owner = acceptance.send, acceptance.accepted_at, owners.get(acceptance.send.key)
    if at is None or send.message_id is None or owner is None:
        return None
    kind = "broadcast" if send.source == "broadcast" else "send"
    intervals = people[send.workspace_id, owner.contact_id].intervals
    verdict = judge(Facts(kind, send.channel_id, at), intervals, tenants[send.workspace_id].calendar)
    return _Message(acceptance, send, send.message_id, at, kind, owner, verdict)


async def _store(
    tx: Connection,
    accepted: Sequence[_Message],
    tenants: Mapping[str, Workspace],
    ids: ProviderIds,
    cycles: Iterable[tuple[str, Cycle]],
) -> None:
    new, known = [m for m in accepted if not m.before], [m for m in accepted if m.before]
    if known:
        await contacts.lock_for_update(tx, {(m.send.workspace_id, m.owner.contact_id) for m in known})
        await messages.remove(tx, {id_ for m in known if (id_ := m.acceptance.stored_as) not in (None, m.message_id)})
        await sends.move_messages(tx, [_move(m) for m in known if m.is_stored])
    added = sorted((m for m in accepted if not m.is_stored), key=lambda m: m.key)
    await messages.add(tx, [_row(m, ids.generation) async for m in paced(added)])
    await mac.add(tx, [_proof(m) for m in new if m.verdict.counted], cycles)
    for active in await mac.prove_again(tx, _changes(known, tenants)):
        await recounting.leave(tx, (active.workspace_id, active.contact_id), active.cycle.start, uuid4())


def _says_else(message: _Message) -> bool:
    """Whether its echo has another content."""
    echo = message.acceptance.echo
    return echo is not None and not is_repeat(echo.content_digest, message.digest, "echo", message.content)


def _row(message: _Message, generation: int) -> MessageRow:
    send = message.send
    return MessageRow(
        generation=generation,
        workspace_id=send.workspace_id,
        message_id=message.message_id,
        identity_id=message.owner.identity_id,
        channel_id=send.channel_id,
        channel=send.channel,
        kind=message.kind,
        event_time=message.at,
        drop_reason=None,
        mac_rule=None,
        block_start=message.verdict.block_start,
        counted=message.verdict.counted,
        content_digest=message.digest,
        body=msgspec.json.encode({"source": send.source, "content": send.content}).decode(),
        send_id=send.send_id,
    )


def _proof(message: _Message) -> Proof:
    send = message.send
    cycle = message.verdict.cycle
    return Proof(
        send.workspace_id, cycle, message.owner.contact_id, message.at, message.message_id, message.acceptance.shard
    )


def _move(message: _Message) -> tuple[str, UUID, UUID, str, datetime, bool, datetime | None]:
    send, verdict = message.send, message.verdict
    key = send.workspace_id, message.message_id, send.send_id
    return *key, message.kind, message.at, verdict.counted, verdict.block_start


def _changes(known: Sequence[_Message], tenants: Mapping[str, Workspace]) -> dict[Active, Change]:
    """What ceased to count at one time, or by one id, and counts at another, if at all."""
    changes: dict[Active, Change] = {}
    for m in known:
        calendar = tenants[m.send.workspace_id].calendar
        for at in {m.at, *(at for at, _ in m.before)}:
            active = Active(m.send.workspace_id, calendar.at(at)[0], m.owner.contact_id)
            change = changes.get(active, Change(m.acceptance.shard, None, set()))
            change.ceased.update(id_ for _, id_ in m.before)
            if at == m.at and m.verdict.counted:
                found = Evidence(m.at, m.message_id)
                change = change._replace(began=found if change.began is None else min(change.began, found))
            changes[active] = change
    return changes
