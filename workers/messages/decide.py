"""Decides what the messages of one poll change. Takes loaded data, returns the data to save. No IO."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from msgspec import Struct

from schemas.outputs import encode_body
from workers.messages.arrivals import Arrival
from workers.rules import opt_out
from workers.rules.contact import Contact, ContactKey
from workers.rules.conversations import opens
from workers.rules.inbound import Dropped, Facts, MessageVerdict, judge, of_deleted
from workers.rules.mac import counted_already, counted_since
from workers.store.contacts import IdentityKey, Said
from workers.store.mac import Proof
from workers.store.messages import MessageRow
from workers.store.senders import Interaction, NewContact, NewContactRow, SenderKey, SenderState
from workers.store.workspaces import Workspace

IdentityId = tuple[str, int]
Names = tuple[str | None, str | None, str | None]
"""Display name, language, avatar."""


class Judged(Struct, frozen=True, gc=False):
    """A message with its verdict. `body` is the JSON that will be published, without the ids."""

    arrival: Arrival
    sender: SenderState
    verdict: MessageVerdict
    body: bytes

    @property
    def contact(self) -> Contact:
        return self.sender.contact

    @property
    def contact_key(self) -> ContactKey:
        return self.sender.contact.workspace_id, self.sender.contact.contact_id


@dataclass(slots=True)
class MessageChanges:
    """All changes of one poll, grouped by the rows that they change.

    `counted`: since when the activity of a contact has its proof, so that the next poll writes no second one. `opened`:
    when the conversation was opened. `connected`: time and channel of the first message. `opted`: time, message id, and
    whether the sender opted out; `opted_deleted`: the same, of addresses of deleted contacts. `respelled`: time,
    message id, new spelling of the address. `said`: which values of known senders may have changed, with the time of
    the latest message.
    """

    judged: list[Judged] = field(default_factory=list)
    proofs: list[Proof] = field(default_factory=list)
    counted: dict[ContactKey, datetime] = field(default_factory=dict)
    opened: dict[ContactKey, datetime] = field(default_factory=dict)
    connected: dict[IdentityId, tuple[datetime, str]] = field(default_factory=dict)
    opted: dict[IdentityId, tuple[datetime, UUID, bool]] = field(default_factory=dict)
    opted_deleted: dict[IdentityKey, tuple[datetime, UUID, bool]] = field(default_factory=dict)
    respelled: dict[IdentityId, tuple[datetime, UUID, str]] = field(default_factory=dict)
    said: dict[Said, datetime] = field(default_factory=dict)


def interactions(arrivals: Iterable[Arrival]) -> dict[IdentityKey, Interaction]:
    """The earliest interaction of each address."""
    earliest: dict[IdentityKey, Interaction] = {}
    for arrival in arrivals:
        message, known = arrival.record.value, earliest.get(arrival.identity_key)
        if known is None or arrival.event_time < known.at:
            earliest[arrival.identity_key] = Interaction(arrival.identity, message.channel_id, arrival.event_time)
    return earliest


def decide(
    changes: MessageChanges,
    arrivals: Iterable[Arrival],
    workspaces: Mapping[str, Workspace],
    senders: Mapping[SenderKey, SenderState],
) -> None:
    """Judges every message and adds to `changes` what follows from it."""
    for arrival in arrivals:
        message, at = arrival.record.value, arrival.event_time
        sender, workspace = senders[arrival.sender_key], workspaces[message.workspace_id]
        facts = Facts(message.kind, message.channel_id, at)
        if sender.deleted:
            verdict: MessageVerdict = of_deleted(facts, workspace.calendar)
            judged = Judged(arrival, sender, verdict, b"")
            _note_deleted(changes, judged)
        else:
            verdict = judge(facts, sender.intervals, workspace.calendar)
            judged = Judged(arrival, sender, verdict, encode_body(message))
            _note_interaction(changes, judged)
        changes.judged.append(judged)
        late = workspace.calendar.is_late(verdict.cycle, arrival.record.recorded_at)
        if verdict.counted and late:
            changes.proofs.append(_proof(judged, late=True))
        elif verdict.counted and not counted_already(sender.counted_at, verdict.cycle, at):
            _note_activity(changes, judged)
        if not isinstance(verdict, Dropped):
            _note_acceptance(changes, judged)


def _note_interaction(changes: MessageChanges, judged: Judged) -> None:
    # For dropped messages, too: the address wrote on this channel, and an opt-out of a blocked contact counts.
    arrival, sender = judged.arrival, judged.sender
    message, at = arrival.record.value, arrival.event_time
    if sender.connected_at is None or at < sender.connected_at:
        identity = message.workspace_id, sender.identity_id
        known = changes.connected.get(identity)
        if known is None or at < known[0]:
            changes.connected[identity] = at, message.channel_id
    if arrival.identity.address != sender.address and arrival.direction == "in":
        identity = message.workspace_id, sender.identity_id
        spelled = changes.respelled.get(identity)
        if spelled is None or (at, arrival.message_id) > spelled[:2]:
            changes.respelled[identity] = at, arrival.message_id, arrival.identity.address
    opts_out = opt_out.opted_out_by(message.channel, message.kind, message.content.text)
    if opts_out is not None:
        identity = message.workspace_id, sender.identity_id
        latest = changes.opted.get(identity)
        if latest is None or (at, arrival.message_id) > latest[:2]:
            changes.opted[identity] = at, arrival.message_id, opts_out


def _note_deleted(changes: MessageChanges, judged: Judged) -> None:
    """An opt-out outlives the contact, also one that comes late."""
    arrival = judged.arrival
    message = arrival.record.value
    opts_out = opt_out.opted_out_by(message.channel, message.kind, message.content.text)
    if opts_out is not None:
        said = arrival.event_time, arrival.message_id, opts_out
        changes.opted_deleted[arrival.identity_key] = max(said, changes.opted_deleted.get(arrival.identity_key, said))


def _note_activity(changes: MessageChanges, judged: Judged) -> None:
    key, saved = judged.contact_key, judged.sender.counted_at
    changes.proofs.append(_proof(judged, late=False))
    since = counted_since(changes.counted.get(key, saved), judged.verdict.cycle, judged.arrival.event_time)
    if since != saved:
        changes.counted[key] = since


def _note_acceptance(changes: MessageChanges, judged: Judged) -> None:
    contact, arrival = judged.sender.contact, judged.arrival
    message = arrival.record.value
    after = contact.awaits_message_after
    if after is not None and opens(message.kind, arrival.event_time, after):
        key = judged.contact_key
        changes.opened[key] = max(arrival.event_time, changes.opened.get(key, arrival.event_time))
    if judged.sender.is_new_contact:
        return  # `new_contact_rows` has all their values
    sender = message.sender
    if sender.name is not None and sender.name != contact.display_name:
        _note_said(changes, judged, "name")
    if sender.language is not None and sender.language != contact.language:
        _note_said(changes, judged, "language")
    if sender.avatar_url is not None and sender.avatar_url != contact.avatar_url:
        _note_said(changes, judged, "avatar_url")


def _note_said(changes: MessageChanges, judged: Judged, attribute: str) -> None:
    key, at = (*judged.contact_key, attribute), judged.arrival.event_time
    changes.said[key] = max(at, changes.said.get(key, at))


def new_contact_rows(changes: MessageChanges, new_contacts: Mapping[ContactKey, NewContact]) -> list[NewContactRow]:
    """Rows of new contacts, with what follows from their first messages."""
    said = _said_last(changes.judged, new_contacts)
    return [
        NewContactRow(person, changes.opened.get(key), *said[key], changes.counted.get(key))
        for key, person in new_contacts.items()
    ]


def _said_last(judged: Iterable[Judged], new_contacts: Collection[ContactKey]) -> dict[ContactKey, Names]:
    said: dict[ContactKey, Names] = dict.fromkeys(new_contacts, (None, None, None))
    first = [j for j in judged if j.sender.is_new_contact and not isinstance(j.verdict, Dropped)]
    for j in sorted(first, key=lambda j: (j.arrival.event_time, j.arrival.message_id)):
        name, language, avatar_url = said[j.contact_key]
        sender = j.arrival.record.value.sender
        said[j.contact_key] = (
            name if sender.name is None else sender.name,
            language if sender.language is None else sender.language,
            avatar_url if sender.avatar_url is None else sender.avatar_url,
        )
    return said


def message_row(judged: Judged, workspace: Workspace, generation: int, now: datetime) -> MessageRow:
    """The row of a judged message. A dropped one keeps its content until its quarantine ends, if there is one."""
    arrival, verdict = judged.arrival, judged.verdict
    message = arrival.record.value
    reason = rule = erase_at = None
    body: str | None = judged.body.decode()
    if isinstance(verdict, Dropped):
        reason, rule = verdict.reason, verdict.rule
        days = workspace.policies.quarantine_days if verdict.reason == "contact_blocked" else 0
        body, erase_at = (body, now + timedelta(days=days)) if days else (None, None)
    if not workspace.policies.keeps(arrival.event_time, now):
        body = erase_at = None
    return MessageRow(  # by position, which is several times faster than by name
        generation,
        message.workspace_id,
        arrival.message_id,
        judged.sender.identity_id,
        message.channel_id,
        message.channel,
        message.kind,
        arrival.event_time,
        reason,
        rule,
        verdict.block_start,
        verdict.counted,
        arrival.digest,
        body,
        erase_at,
        None,
        arrival.record.recorded_at,
    )


def _proof(judged: Judged, *, late: bool) -> Proof:
    source = judged.arrival.record.source
    return Proof(
        judged.contact.workspace_id,
        judged.verdict.cycle,
        judged.contact.contact_id,
        judged.arrival.event_time,
        judged.arrival.message_id,
        f"{source.topic}/{source.partition}",
        late=late,
    )
