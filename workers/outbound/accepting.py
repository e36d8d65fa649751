"""A provider took the message: it joins the conversation, connects the channel, and counts (contract 4.5, 5.2)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from schemas.ids import digest
from schemas.inbound import Content
from workers.outbound.cases import Locked
from workers.rules.cycles import Cycle
from workers.rules.inbound import Facts, Verdict, judge
from workers.runtime.batch import Connection
from workers.store import contacts, mac, messages, sends, workspaces
from workers.store.contacts import IdentityKey
from workers.store.mac import Active, Proof
from workers.store.messages import MessageRow
from workers.store.sends import Owner, Send
from workers.store.workspaces import Workspace


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What receipts of one transaction say of a send besides its status.

    `accepted_at` None: nothing new about when it was first accepted. `stopped_at`: the contact wants no more.
    """

    send: Send
    accepted_before: datetime | None = None
    accepted_at: datetime | None = None
    stopped_at: datetime | None = None
    shard: str = ""

    def having(self, **changed: Any) -> "Acceptance":
        return replace(self, **changed)


@dataclass(frozen=True, slots=True)
class _Message:
    """An accepted send as a message of its address's owner."""

    acceptance: Acceptance
    send: Send
    message_id: UUID
    at: datetime
    kind: str
    owner: Owner
    verdict: Verdict

    @property
    def key(self) -> tuple[str, UUID]:
        return self.send.workspace_id, self.message_id


async def accept(
    tx: Connection,
    acceptances: Sequence[Acceptance],
    people: Locked,
    tenants: Mapping[str, Workspace],
    now: datetime,
) -> None:
    """Save what follows from acceptances; the sends' own rows are saved already."""
    if not acceptances:
        return
    owners = await _link(tx, acceptances, people.owners)
    await contacts.opt(tx, _stops(acceptances, owners))
    told = [m for a in acceptances if (m := _message(a, owners, people, tenants)) is not None]
    if not told:
        return
    told.sort(key=lambda m: m.at, reverse=True)  # of several to one address the earliest is what stays
    connected = {(m.send.workspace_id, m.owner.identity_id): (m.at, m.send.channel_id) for m in told}
    await contacts.connect(tx, connected)
    earlier = workspaces.earlier_than_known(((m.send.workspace_id, m.at) for m in told), tenants)
    cycles = ((w, cycle) for w, at in earlier.items() for cycle, _ in tenants[w].calendar.between(at, now))
    await _store(tx, told, tenants, cycles)
    # Last, as another poll waits for it that may have made what this one still needs.
    await workspaces.note_first_messages(tx, earlier)


async def _link(
    tx: Connection, acceptances: Sequence[Acceptance], owners: Mapping[IdentityKey, Owner]
) -> dict[IdentityKey, Owner]:
    """Owners of the addresses; a number or e-mail address on file becomes an identity of the contact now."""
    links = {
        key: (a.send.address, a.send.contact_id)
        for a in acceptances
        if (key := a.send.identity_key) is not None
        and key not in owners
        and a.send.address is not None
        and a.send.contact_id is not None
    }
    if not links:
        return dict(owners)
    await sends.link_identities(tx, links)
    await contacts.mark_dirty(tx, {(key.workspace_id, contact_id) for key, (_, contact_id) in links.items()})
    return {**owners, **await sends.owners(tx, links.keys())}


def _stops(
    acceptances: Sequence[Acceptance], owners: Mapping[IdentityKey, Owner]
) -> dict[tuple[str, int], tuple[datetime, UUID, bool]]:
    stops: dict[tuple[str, int], tuple[datetime, UUID, bool]] = {}
    for a in acceptances:
        key = a.send.identity_key
        if a.stopped_at is not None and key is not None and key in owners:
            identity = key.workspace_id, owners[key].identity_id
            stop = a.stopped_at, a.send.send_id, True
            stops[identity] = max(stops.get(identity, stop), stop)
    return stops


def _message(
    acceptance: Acceptance,
    owners: Mapping[IdentityKey, Owner],
    people: Locked,
    tenants: Mapping[str, Workspace],
) -> _Message | None:
    send, at, key = acceptance.send, acceptance.accepted_at, acceptance.send.identity_key
    if at is None or send.message_id is None or key is None or key not in owners:
        return None
    owner = owners[key]
    contact = people.contacts.get((send.workspace_id, owner.contact_id))
    kind = "broadcast" if send.source == "broadcast" else "send"
    intervals = contact.intervals if contact is not None else ()
    verdict = judge(Facts(kind, send.channel_id, at), intervals, tenants[send.workspace_id].calendar)
    return _Message(acceptance, send, send.message_id, at, kind, owner, verdict)


async def _store(
    tx: Connection,
    told: Sequence[_Message],
    tenants: Mapping[str, Workspace],
    cycles: Iterable[tuple[str, Cycle]],
) -> None:
    first = {m.key: m for m in told if m.acceptance.accepted_before is None}
    # An echo with the provider's id came before: it is the same message, and counts by itself.
    known = await messages.look_up(tx, [m.message_id for m in first.values()])
    new = [m for _, m in sorted(first.items()) if m.message_id not in known.digests]
    await messages.add(tx, [_row(m, known.generation) for m in new])
    await mac.add(tx, [_proof(m) for m in new if m.verdict.counted], cycles)
    moved = [m for m in told if m.acceptance.accepted_before is not None]
    if moved:
        await contacts.lock_for_update(tx, {(m.send.workspace_id, m.owner.contact_id) for m in moved})
        await sends.move_messages(tx, [_move(m) for m in moved])
        await mac.prove_again(tx, {a: m.acceptance.shard for m in moved for a in _touched(m, tenants)})


def _row(message: _Message, generation: int) -> MessageRow:
    send = message.send
    content = msgspec.json.decode(send.content, type=Content)
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
        # the digest of an echo: one that follows with the same content is a repeat and no conflict
        content_digest=digest("echo", content),
        body=msgspec.json.encode({"source": send.source, "content": send.content}).decode(),
        send_id=send.send_id,
    )


def _proof(message: _Message) -> Proof:
    send = message.send
    cycle = message.verdict.cycle
    return Proof(
        send.workspace_id, cycle, message.owner.contact_id, message.at, message.message_id, message.acceptance.shard
    )


def _move(message: _Message) -> tuple[str, UUID, UUID, datetime, bool, datetime | None]:
    send, verdict = message.send, message.verdict
    return send.workspace_id, message.message_id, send.send_id, message.at, verdict.counted, verdict.block_start


def _touched(message: _Message, tenants: Mapping[str, Workspace]) -> list[Active]:
    send, before = message.send, message.acceptance.accepted_before
    instants = (message.at, before) if before is not None else (message.at,)
    calendar = tenants[send.workspace_id].calendar
    return [Active(send.workspace_id, calendar.at(at)[0], message.owner.contact_id) for at in instants]
