"""messages.inbound: load what a poll needs, judge it, save what follows, in a handful of statements."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import structlog

from schemas.decoding import decode_inbound
from schemas.inbound import InboundMessage
from schemas.routing import key_begins
from workers.inbound.arrivals import understand, without_repeats
from workers.inbound.decide import Changes, Judged, decide, interactions, introductions, message_row
from workers.inbound.facts import verdict_fact, verdict_ids
from workers.runtime.batch import Batch, Connection, Output, WorkerSpec
from workers.runtime.tasks import both, portions
from workers.store import contacts, mac, messages, senders, workspaces
from workers.store.contacts import ContactKey, IdentityKey
from workers.store.messages import Said
from workers.store.senders import Interaction, Stranger

log = structlog.get_logger()


async def apply(tx: Connection, batch: Batch[InboundMessage]) -> list[Output]:
    """Apply one poll of messages; returns their verdicts in the order the messages came."""
    records = batch.records
    channels = {(r.value.workspace_id, r.value.channel_id, r.value.channel) for r in records}
    tenants = await workspaces.share(tx, channels)
    arrivals = understand(records, tenants)

    known = await messages.look_up(tx, [a.message_id for a in arrivals])
    new, conflicts = without_repeats(arrivals, known.digests)
    earliest = min((a.event_time for a in new), default=batch.now)
    met = await senders.find(tx, {a.identity_key for a in new}, earliest)
    strangers: dict[ContactKey, Stranger] = {}
    if unknown := [a for a in new if a.identity_key not in met]:
        first = interactions(unknown, tenants)
        _warn_of(first)
        made, strangers = await senders.add(tx, first)
        met |= made

    changes = decide(new, tenants, met)

    rows = [message_row(j, tenants[j.contact.workspace_id], known.generation, batch.now) for j in changes.judged]
    # The longest statement; PostgreSQL need not wait for us, nor we for it.
    _, facts = await both(messages.add(tx, rows), _verdict_facts(changes.judged, batch.now))
    await messages.count_conflicts(tx, conflicts, batch.now)
    if strangers:
        await senders.introduce(tx, introductions(changes, strangers))
    await _save_contacts(tx, changes, strangers)
    # Most workspaces had messages before any of these.
    earlier = workspaces.earlier_than_known(((w, earliest) for w in tenants), tenants)
    if earlier:
        seen = ((a.record.value.workspace_id, a.event_time) for a in new)
        earlier = workspaces.earlier_than_known(seen, tenants)
    cycles = ((w, cycle) for w, at in earlier.items() for cycle, _ in tenants[w].calendar.between(at, batch.now))
    await mac.add(tx, changes.proofs, cycles)
    # Last, as another poll waits for it that may have made what this one still needs.
    await workspaces.note_first_messages(tx, earlier)
    return facts


SPEC = WorkerSpec("inbound", {"messages.inbound": decode_inbound}, apply, lanes=2, key_begins=key_begins)


def _warn_of(first: Mapping[IdentityKey, Interaction]) -> None:
    """Once for each address, as from then on it is a known one; what it is is somebody's business."""
    channels = Counter((k.workspace_id, i.channel_id) for k, i in first.items() if not i.identity.understood)
    for (workspace_id, channel_id), count in channels.items():
        log.warning(
            "Addresses could not be understood: they are kept as they came, and nothing can be sent to them.",
            action="address_not_understood",
            workspace_id=workspace_id,
            channel_id=channel_id,
            count=count,
        )


async def _verdict_facts(judged: Sequence[Judged], now: datetime) -> list[Output]:
    facts: list[Output] = []
    async for some in portions(list(zip(judged, verdict_ids(judged), strict=True))):
        facts += [verdict_fact(j, ce_id, now) for j, ce_id in some]
    return facts


async def _save_contacts(tx: Connection, changes: Changes, introduced: Collection[ContactKey]) -> None:
    await contacts.connect(tx, changes.connected)
    await contacts.opt(tx, changes.opted)
    counted = {key: at for key, at in changes.counted.items() if key not in introduced}
    opened = {key: at for key, at in changes.opened.items() if key not in introduced}
    named = {(workspace_id, contact_id) for workspace_id, contact_id, _ in changes.said}
    # All of them at once: each statement below takes its own in order, two after each other do not.
    await contacts.lock_for_change(tx, counted.keys() | opened.keys() | named)
    await senders.note_counted(tx, counted)
    await contacts.open_conversations(tx, opened)
    renamed = await _save_names(tx, changes.said)
    await contacts.mark_dirty(tx, opened.keys() | renamed)


async def _save_names(tx: Connection, said: Mapping[Said, datetime]) -> set[ContactKey]:
    # What a contact is called is what its newest message says, so a straggler may change nothing: ask the table, now
    # that whoever else renames them has committed.
    newest = await messages.latest_of_sender(tx, said)
    keys = {(workspace_id, contact_id) for workspace_id, contact_id, _ in newest}
    await contacts.rename(tx, {key: _said(newest, key) for key in keys})
    return keys


def _said(newest: Mapping[Said, str], key: ContactKey) -> tuple[str | None, str | None, str | None]:
    return newest.get((*key, "name")), newest.get((*key, "language")), newest.get((*key, "avatar_url"))
