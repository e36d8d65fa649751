"""What a poll's messages change: from what was loaded to what is saved, in memory."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from msgspec import Struct

from schemas.outputs import encode_body
from workers.inbound.arrivals import Arrival
from workers.rules import opt_out
from workers.rules.contact import Contact
from workers.rules.conversations import opens
from workers.rules.inbound import Dropped, Facts, Verdict, judge
from workers.store.contacts import ContactKey, IdentityKey, Owned
from workers.store.mac import Proof
from workers.store.messages import MessageRow, Said
from workers.store.workspaces import Workspace

IdentityId = tuple[str, int]


class Judged(Struct, frozen=True, gc=False):
    """A message with its verdict. `body` is its JSON as it travels, without the ids."""

    arrival: Arrival
    owner: Owned
    contact: Contact
    verdict: Verdict
    body: bytes

    @property
    def contact_key(self) -> ContactKey:
        return self.contact.workspace_id, self.contact.contact_id


@dataclass(slots=True)
class Changes:
    """Everything one poll of messages changes, set by set."""

    judged: list[Judged] = field(default_factory=list)
    opened: dict[ContactKey, datetime] = field(default_factory=dict)
    connected: dict[IdentityId, tuple[datetime, str]] = field(default_factory=dict)
    opted: dict[IdentityId, tuple[datetime, UUID, bool]] = field(default_factory=dict)
    said: set[Said] = field(default_factory=set)


def decide(
    arrivals: Iterable[Arrival],
    workspaces: Mapping[str, Workspace],
    owners: Mapping[IdentityKey, Owned],
    contacts: Mapping[ContactKey, Contact],
) -> Changes:
    """Judge every message and gather what follows from it."""
    changes = Changes()
    for arrival in arrivals:
        message = arrival.record.value
        owner = owners[arrival.identity_key]
        contact = contacts[message.workspace_id, owner.contact_id]
        facts = Facts(message.kind, message.channel_id, arrival.event_time)
        verdict = judge(facts, contact.intervals, workspaces[message.workspace_id].calendar)
        judged = Judged(arrival, owner, contact, verdict, encode_body(message))
        changes.judged.append(judged)
        _note_interaction(changes, judged)
        if not isinstance(verdict, Dropped):
            _note_acceptance(changes, judged)
    return changes


def _note_interaction(changes: Changes, judged: Judged) -> None:
    # Dropped or not: the address wrote on this channel, and an opt-out counts even from a blocked contact.
    arrival, owner = judged.arrival, judged.owner
    message = arrival.record.value
    identity = message.workspace_id, owner.identity_id
    at = arrival.event_time
    if owner.connected_at is None or at < owner.connected_at:
        known = changes.connected.get(identity)
        if known is None or at < known[0]:
            changes.connected[identity] = at, message.channel_id
    said = opt_out.opted_out_by(message.channel, message.kind, message.content.text)
    if said is not None:
        latest = changes.opted.get(identity)
        if latest is None or (at, arrival.message_id) > latest[:2]:
            changes.opted[identity] = at, arrival.message_id, said


def _note_acceptance(changes: Changes, judged: Judged) -> None:
    contact, arrival = judged.contact, judged.arrival
    message, key = arrival.record.value, judged.contact_key
    if contact.conversation_status != "open" and opens(message.kind, arrival.event_time, contact.last_closing):
        changes.opened[key] = max(arrival.event_time, changes.opened.get(key, arrival.event_time))
    sender = message.sender
    if sender.name is not None and sender.name != contact.display_name:
        changes.said.add((*key, "name"))
    if sender.language is not None and sender.language != contact.language:
        changes.said.add((*key, "language"))
    if sender.avatar_url is not None and sender.avatar_url != contact.avatar_url:
        changes.said.add((*key, "avatar_url"))


def message_row(judged: Judged, workspace: Workspace, now: datetime) -> MessageRow:
    """The row of a judged message; what is dropped keeps its content for the quarantine only."""
    arrival, verdict = judged.arrival, judged.verdict
    message = arrival.record.value
    dropped = isinstance(verdict, Dropped)
    days = workspace.policies.quarantine_days
    erased = dropped and days == 0
    return MessageRow(
        workspace_id=message.workspace_id,
        message_id=arrival.message_id,
        identity_id=judged.owner.identity_id,
        channel_id=message.channel_id,
        channel=message.channel,
        kind=message.kind,
        event_time=arrival.event_time,
        drop_reason=verdict.reason if isinstance(verdict, Dropped) else None,
        mac_rule=verdict.rule if isinstance(verdict, Dropped) else None,
        block_start=verdict.block_start,
        counted=verdict.counted,
        decided_at=now,
        content_digest=arrival.digest,
        body=None if erased else judged.body.decode(),
        erase_at=now + timedelta(days=days) if dropped and not erased else None,
    )


def proof(judged: Judged) -> Proof:
    """A counted message as proof that its contact was active."""
    source = judged.arrival.record.source
    return Proof(
        judged.contact.workspace_id,
        judged.verdict.cycle,
        judged.contact.contact_id,
        judged.arrival.event_time,
        judged.arrival.message_id,
        f"{source.topic}/{source.partition}",
    )
