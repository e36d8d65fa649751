"""The worker of messages.inbound: loads what a poll needs, judges its messages, saves the results."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Final

import structlog
from msgspec.structs import replace

from schemas.decoding import decode_inbound
from schemas.inbound import InboundMessage
from schemas.routing import key_begins
from workers.billing.cycles import beginnings
from workers.errors import RetryBatch
from workers.messages.arrivals import Arrival, arrivals_of, without_repeats
from workers.messages.decide import Judged, MessageChanges, decide, interactions, message_row, new_contact_rows
from workers.messages.events import verdict_event, verdict_ids
from workers.messages.opting import opt_deleted
from workers.process.tasks import both, growing_slices
from workers.records import Batch, Output
from workers.rules.contact import Contact, ContactKey
from workers.rules.ownership import has_at
from workers.runtime.worker_spec import WorkerSpec
from workers.store import address_hashes, blocks, contacts, deletions, mac, messages, senders, workspaces
from workers.store.address_hashes import KeptAddress
from workers.store.connection import Connection
from workers.store.contacts import IdentityKey, Owned, contact_key
from workers.store.senders import FormerSender, Interaction, NewContact, SenderKey, SenderState, deleted_sender

log = structlog.get_logger()

_KEPT: Final = "Some addresses could not be parsed: they are stored as they came. "
_GIVE_BARE: Final = "Give each e-mail address alone: no display name, no `mailto:`."
_GIVE_A_REGION: Final = (
    "If they are telephone numbers in national form, set their region: `default_region` of `configure_channel`, or of "
    "`configure_workspace` for all."
)


async def apply(tx: Connection, batch: Batch[InboundMessage]) -> list[Output]:
    """Applies one poll of messages. Returns their verdicts in the order of the messages.

    Raises:
        SetAside: messages that exceed the limit of channels of a workspace.
    """
    records = batch.records
    tenants = await workspaces.share_for(tx, records, _channel)
    arrivals = [arrival async for some in growing_slices(records) for arrival in arrivals_of(some, tenants)]

    known = await messages.look_up(tx, [a.message_id for a in arrivals])
    new, conflicts = without_repeats(arrivals, known.digests)
    earliest = min((a.event_time for a in new), default=batch.now)
    new, found = await _senders(tx, new, earliest)
    new_contacts: dict[ContactKey, NewContact] = {}
    if unknown := [a for a in new if a.sender_key not in found]:
        first = interactions(unknown)
        _warn_of(first)
        made, new_contacts = await senders.add(tx, first)
        found |= made

    changes, known_senders = MessageChanges(), await _knowing_older_blocks(tx, found, new)
    async for some in growing_slices(new):
        decide(changes, some, tenants, known_senders)

    rows = [message_row(j, tenants[j.contact.workspace_id], known.generation, batch.now) for j in changes.judged]
    # The longest statement: the worker computes while PostgreSQL runs it.
    _, events = await both(messages.add(tx, rows), _verdict_events(changes.judged, batch.now))
    await messages.count_conflicts(tx, conflicts, batch.now)
    batch.noted["conflict"] += conflicts.total()
    if new_contacts:
        await senders.insert_new_contacts(tx, new_contact_rows(changes, new_contacts))
    await _save_contacts(tx, changes, new_contacts)
    seen: list[tuple[str, datetime]] = []
    if any(t.first_message_at is None or earliest < t.first_message_at for t in tenants.values()):
        seen = [(a.record.value.workspace_id, a.event_time) for a in new]
    begun, cycles = beginnings(seen, tenants, batch.now)
    await mac.add(tx, changes.proofs, cycles)
    # Last, because a poll that waits for this lock may hold rows that this one still needs.
    await workspaces.note_first_messages(tx, begun, batch.now)
    return events


SPEC = WorkerSpec("inbound", {"messages.inbound": decode_inbound}, apply, lanes=2, key_begins=key_begins)


_channel: Final[Callable[[InboundMessage], tuple[str, str, str]]] = attrgetter("workspace_id", "channel_id", "channel")


async def _senders(
    tx: Connection, arrivals: Sequence[Arrival], earliest: datetime
) -> tuple[Sequence[Arrival], dict[SenderKey, SenderState]]:
    """Who has each address, and for the few messages from before that, who had it then.

    Raises:
        RetryBatch: an address changed its owner meanwhile.
    """
    found = await senders.find(tx, {a.identity_key for a in arrivals}, earliest)
    doubtful = {a.identity_key for a in arrivals if not _is_senders(found.get(a.identity_key), a)}
    await deletions.free_addresses(tx, doubtful)
    former = await contacts.find_former(tx, doubtful)
    deleted = await address_hashes.find(tx, doubtful)
    if not former and not deleted:
        return arrivals, found
    arrivals = [a if _is_senders(found.get(a.identity_key), a) else _of_former(a, former) for a in arrivals]
    before = {a.former for a in arrivals if a.former is not None}
    found |= await senders.find_former(tx, before, earliest)
    if any(a.former is not None and not _had(found.get(a.former), a.event_time) for a in arrivals):
        raise RetryBatch("an address changed its owner while the one before was being locked")
    arrivals, gone = _of_deleted(arrivals, found, deleted)
    return arrivals, found | gone


def _of_deleted(
    arrivals: Sequence[Arrival],
    found: Mapping[SenderKey, SenderState],
    deleted: Mapping[IdentityKey, Sequence[KeptAddress]],
) -> tuple[Sequence[Arrival], dict[SenderKey, SenderState]]:
    """Late messages of deleted contacts, with these contacts as their senders."""
    gone: dict[SenderKey, SenderState] = {}
    late: list[Arrival] = []
    for a in arrivals:
        owners = (
            deleted.get(a.identity_key, ())
            if a.former is None and not _is_senders(found.get(a.identity_key), a)
            else ()
        )
        kept = next((k for k in owners if has_at(k, a.event_time)), None)
        if kept is None:
            late.append(a)
            continue
        former = FormerSender(a.identity_key, kept.identity_id)
        gone[former] = deleted_sender(former, kept)
        late.append(replace(a, former=former))
    return late, gone


def _had(former: SenderState | None, at: datetime) -> bool:
    return former is not None and has_at(former, at)


def _is_senders(sender: SenderState | None, arrival: Arrival) -> bool:
    return sender is not None and (sender.began_at is None or sender.began_at <= arrival.event_time)


def _of_former(arrival: Arrival, former: Mapping[IdentityKey, Sequence[Owned]]) -> Arrival:
    owners = (o for o in former.get(arrival.identity_key, ()) if has_at(o, arrival.event_time))
    owner = next(owners, None)
    if owner is None:
        return arrival
    return replace(arrival, former=FormerSender(arrival.identity_key, owner.identity_id))


async def _knowing_older_blocks(
    tx: Connection, found: dict[SenderKey, SenderState], arrivals: Sequence[Arrival]
) -> Mapping[SenderKey, SenderState]:
    """Loads older block intervals of the few contacts whose row has not all of them."""
    if all(s.contact.known_since is None and s.home is None for s in found.values()):
        return found
    judges = {key: (s.home.key if s.home is not None else contact_key(s.contact)) for key, s in found.items()}
    known = {judges[key]: _judge(s) for key, s in found.items()}
    moments = ((judges[a.sender_key], a.event_time) for a in arrivals)
    known = await blocks.reaching(tx, known, moments)
    return {
        key: replace(s, contact=known[judges[key]])
        if s.home is None
        else replace(s, home=s.home._replace(intervals=known[s.home.key].intervals))
        for key, s in found.items()
    }


def _judge(sender: SenderState) -> Contact:
    """The contact whose blocks judge the messages of a sender."""
    if sender.home is None:
        return sender.contact
    (workspace_id, contact_id), intervals, since = sender.home
    return Contact(workspace_id, contact_id, sender.contact.conversation_id, intervals=intervals, known_since=since)


def _warn_of(first: Mapping[IdentityKey, Interaction]) -> None:
    """Warns once for each address, because afterwards it is known. Logs never show the address itself."""
    strange = ((k.workspace_id, i.channel_id, i.identity) for k, i in first.items() if not i.identity.understood)
    channels = Counter((workspace_id, channel_id, who.channel) for workspace_id, channel_id, who in strange)
    for (workspace_id, channel_id, channel), count in channels.items():
        log.warning(
            _KEPT + (_GIVE_BARE if channel == "email" else _GIVE_A_REGION),
            action="address_not_understood",
            workspace_id=workspace_id,
            channel_id=channel_id,
            count=count,
        )


async def _verdict_events(judged: Sequence[Judged], now: datetime) -> list[Output]:
    together = list(zip(judged, verdict_ids(judged), strict=True))
    return [verdict_event(j, ce_id, now) async for some in growing_slices(together) for j, ce_id in some]


async def _save_contacts(tx: Connection, changes: MessageChanges, inserted: Collection[ContactKey]) -> None:
    await contacts.connect(tx, changes.connected)
    await contacts.opt(tx, changes.opted)
    await opt_deleted(tx, changes.opted_deleted)
    respelled = await contacts.respell(tx, changes.respelled)
    counted = {key: at for key, at in changes.counted.items() if key not in inserted}
    opened = {key: at for key, at in changes.opened.items() if key not in inserted}
    named = {(workspace_id, contact_id) for workspace_id, contact_id, _ in changes.said}
    # All at once: each statement below locks in order, but two statements one after the other do not.
    await contacts.lock_for_change(tx, counted.keys() | opened.keys() | named | respelled)
    await senders.note_counted(tx, counted)
    await contacts.open_conversations(tx, opened)
    # A contact has the name of its newest message, so a late message may change nothing. Read the table now that other
    # transactions that rename these contacts have committed.
    renamed = await contacts.rename(tx, await messages.latest_of_sender(tx, changes.said))
    await contacts.raise_revisions(tx, respelled)
    await contacts.mark_unpublished(tx, opened.keys() | renamed | respelled)
