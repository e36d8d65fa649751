"""messages.inbound: load what a poll needs, judge it, save what follows, in a handful of statements."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from schemas.decoding import decode_inbound
from schemas.inbound import InboundMessage
from workers.inbound.arrivals import understand, without_repeats
from workers.inbound.decide import Changes, Judged, decide, message_row, proof
from workers.inbound.facts import verdict_fact
from workers.runtime.batch import Batch, Connection, Output, WorkerSpec
from workers.runtime.tasks import both, portions
from workers.store import contacts, mac, messages, workspaces
from workers.store.contacts import ContactKey
from workers.store.messages import Said


async def apply(tx: Connection, batch: Batch[InboundMessage]) -> list[Output]:
    """Apply one poll of messages; returns their verdicts in the order the messages came."""
    records = batch.records
    channels = {(r.value.workspace_id, r.value.channel_id, r.value.channel) for r in records}
    tenants = await workspaces.share(tx, channels)
    arrivals = [understand(r, tenants[r.value.workspace_id]) for r in records]

    stored = await messages.digests(tx, {a.key for a in arrivals})
    new, conflicts = without_repeats(arrivals, stored)
    wanted = {a.identity_key: (a.identity, a.record.value.channel_id) for a in reversed(new)}
    owners, made = await contacts.find_or_add(tx, wanted)
    locked = await contacts.lock_shared(tx, {(key.workspace_id, owner.contact_id) for key, owner in owners.items()})

    changes = decide(new, tenants, owners, locked)

    touched = await _save_contacts(tx, changes)
    rows = [message_row(j, tenants[j.contact.workspace_id], batch.now) for j in changes.judged]
    # The longest statement; PostgreSQL need not wait for us, nor we for it.
    _, facts = await both(messages.add(tx, rows), _verdict_facts(changes.judged, batch.now))
    await messages.count_conflicts(tx, conflicts, batch.now)
    renamed = await _save_names(tx, changes.said)
    await contacts.mark_dirty(tx, made | touched | renamed)
    seen = ((j.contact.workspace_id, j.arrival.event_time) for j in changes.judged)
    earlier = workspaces.earlier_than_known(seen, tenants)
    cycles = ((w, cycle) for w, at in earlier.items() for cycle, _ in tenants[w].calendar.between(at, batch.now))
    await mac.add(tx, [proof(j) for j in changes.judged if j.verdict.counted], cycles)
    # Last, as another poll waits for it that may have made what this one still needs.
    await workspaces.note_first_messages(tx, earlier)
    return facts


SPEC = WorkerSpec("inbound", {"messages.inbound": decode_inbound}, apply, lanes=2)


async def _verdict_facts(judged: Sequence[Judged], now: datetime) -> list[Output]:
    facts: list[Output] = []
    async for some in portions(judged):
        facts += [verdict_fact(j, now) for j in some]
    return facts


async def _save_contacts(tx: Connection, changes: Changes) -> set[ContactKey]:
    await contacts.open_conversations(tx, changes.opened)
    await contacts.connect(tx, changes.connected)
    await contacts.opt(tx, changes.opted)
    return set(changes.opened)


async def _save_names(tx: Connection, said: Collection[Said]) -> set[ContactKey]:
    # What a contact is called is what its newest message says, so a straggler may change nothing: ask the table.
    newest = await messages.latest_of_sender(tx, said)
    keys = {(workspace_id, contact_id) for workspace_id, contact_id, _ in newest}
    await contacts.rename(tx, {key: _said(newest, key) for key in keys})
    return keys


def _said(newest: Mapping[Said, str], key: ContactKey) -> tuple[str | None, str | None, str | None]:
    return newest.get((*key, "name")), newest.get((*key, "language")), newest.get((*key, "avatar_url"))
