"""Messages that belong to another contact, because an address had another owner at their time than was known.

A removal of an address, or the end of the block that held it back, may arrive after later messages were stored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from workers.messages import recounting
from workers.messages.late_blocks import revise
from workers.records import Output, Record
from workers.rules.blocks import BlockChange, Interval
from workers.rules.contact import ContactKey
from workers.rules.cycles import FIRST_INSTANT
from workers.rules.mac import Evidence
from workers.store import contacts, mac, messages, ownership
from workers.store.connection import Connection
from workers.store.contacts import Said
from workers.store.mac import Active, Change
from workers.store.ownership import MovedMessage, OwnedAddress
from workers.store.workspaces import Workspace


@dataclass(frozen=True, slots=True)
class MoveCause:
    """The command, its record, and the settings of its workspace."""

    command_id: UUID
    record: Record[Any]
    tenant: Workspace


async def give(
    tx: Connection,
    giver: OwnedAddress,
    taker: OwnedAddress,
    span: tuple[datetime, datetime | None],
    cause: MoveCause,
    now: datetime,
) -> list[Output]:
    """Gives messages of these times, from the first up to before the second, to another owner of the address.

    Both contacts are locked for update. Returns the events of the messages that the other owner's blocks judge
    otherwise.
    """
    moved = await ownership.move_messages(tx, giver, taker, *span)
    if not moved:
        return []
    first = min(moved)
    connected = {(taker.key.workspace_id, taker.identity_id): (first.event_time, first.channel_id)}
    await contacts.connect(tx, connected)
    for active in await mac.prove_again(tx, _counted(giver.contact_key, taker.contact_key, moved, cause)):
        key = active.workspace_id, active.contact_id
        await recounting.leave(tx, key, active.cycle.start, cause.command_id)
    # As if what covered these times had changed: whatever the present history makes of them.
    everything = BlockChange(*taker.home_key, cause.command_id, now, (Interval(*span),), ())
    _, outputs = await revise(tx, {taker.home_key: everything}, {taker.home_key: cause.record}, now)
    both = [giver.contact_key, taker.contact_key]
    await _open_again(tx, giver.contact_key, both, span[0], cause)
    said: dict[Said, datetime] = dict.fromkeys(
        ((*key, name) for key in both for name in ("name", "language", "avatar_url")), FIRST_INSTANT
    )
    await contacts.rename(tx, await messages.latest_of_sender(tx, said))
    await contacts.mark_unpublished(tx, both)
    return outputs


def _counted(
    giver: ContactKey, taker: ContactKey, moved: Sequence[MovedMessage], cause: MoveCause
) -> Mapping[Active, Change]:
    shard = f"{cause.record.source.topic}/{cause.record.source.partition}"
    changes: dict[Active, Change] = {}
    for m in moved:
        if not m.counted:
            continue
        cycle, _ = cause.tenant.calendar.at(m.event_time)
        left = changes.setdefault(Active(giver[0], cycle, giver[1]), Change(shard, None, set()))
        left.ceased.add(m.message_id)
        found, active = Evidence(m.event_time, m.message_id), Active(taker[0], cycle, taker[1])
        known = changes.get(active)
        if known is None or known.began is None or found < known.began:
            changes[active] = Change(shard, found, set())
    return changes


async def _open_again(
    tx: Connection, giver: ContactKey, both: Sequence[ContactKey], since: datetime, cause: MoveCause
) -> None:
    """Finds what opened each conversation. The giver's may have been opened by a message that it does not have now."""
    people = await contacts.read(tx, both)
    witnesses, undecided = await messages.opening_messages(tx, {key: c.last_closing for key, c in people.items()})
    for key in undecided:
        await recounting.leave(tx, key, people[key].last_closing or FIRST_INSTANT, cause.command_id)
    opened: dict[ContactKey, datetime | None] = {}
    for key, contact in people.items():
        known = contact.opened_at
        if key == giver and known is not None and known >= since:
            known = None
        at = max((t for t in (known, witnesses.get(key)) if t is not None), default=None)
        if at != contact.opened_at:
            opened[key] = at
    await contacts.open_conversations(tx, opened)
