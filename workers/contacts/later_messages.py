"""Messages that were stored for a contact before it was deleted, and that are not older than the deletion.

They make a new contact, as if the deletion had been known when they came.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from workers.messages.late_blocks import revise
from workers.records import Output, Record
from workers.rules.blocks import BlockChange, Interval
from workers.rules.contact import ContactKey
from workers.rules.conversations import opened_last
from workers.rules.identities import ResolvedIdentity, identify
from workers.rules.mac import Evidence
from workers.store import contacts, deletions, mac, messages, senders, workspaces
from workers.store.connection import Connection
from workers.store.contacts import IdentityKey, Owned
from workers.store.deletions import LaterMessage
from workers.store.mac import RECOUNTED, Active, Change
from workers.store.workspaces import Workspace

_SAID: Final = ("name", "language", "avatar_url")


class DeletionCause(NamedTuple):
    """The command that deletes contacts, and the record of its events."""

    deletion_id: UUID
    record: Record[Any]


async def move_later(
    tx: Connection, deleted: Collection[ContactKey], cause: DeletionCause, now: datetime, limit: int
) -> tuple[int, list[Output]]:
    """Moves such messages of contacts of one workspace that are cut off. Returns how many, at most `limit`, and the
    events of those that the blocks of their new contact judge otherwise.
    """
    found = await deletions.later_messages(tx, deleted, limit)
    if not found:
        return 0, []
    workspace_id = found[0].identity_key.workspace_id
    tenants = await workspaces.share(tx, {(workspace_id, "", "")})
    meant = {m.identity_key: (_identity(m), m.channel_id) for m in found}
    owned, _ = await senders.find_or_add(tx, meant)
    people = {(workspace_id, owned[key].contact_id) for key in meant}
    await contacts.lock_for_update(tx, people)
    await deletions.move_messages(tx, [(m.generation, m.message_id, owned[m.identity_key].identity_id) for m in found])
    connected: dict[tuple[str, int], tuple[datetime, str]] = {}
    for m in sorted(found, key=lambda m: m.event_time, reverse=True):
        connected[workspace_id, owned[m.identity_key].identity_id] = m.event_time, m.channel_id
    await contacts.connect(tx, connected)
    await mac.prove_again(tx, _changes(found, owned, tenants[workspace_id]))
    outputs = await _judge_again(tx, people, min(m.event_time for m in found), cause, now)
    await _name_and_open(tx, people, min(m.event_time for m in found))
    return len(found), outputs


def _identity(message: LaterMessage) -> ResolvedIdentity:
    key = message.identity_key
    understood = identify(key.channel, key.scope, message.address, None)
    return understood._replace(scope=key.scope, lookup=key.lookup, address=message.address)


async def _judge_again(
    tx: Connection, people: Collection[ContactKey], since: datetime, cause: DeletionCause, now: datetime
) -> list[Output]:
    # As if what covered these times had changed: whatever the present histories make of them.
    everything = {k: BlockChange(*k, cause.deletion_id, now, (Interval(since, None),), ()) for k in people}
    _, outputs = await revise(tx, everything, dict.fromkeys(people, cause.record), now)
    return outputs


async def _name_and_open(tx: Connection, people: Collection[ContactKey], earliest: datetime) -> None:
    said = {(*key, attribute): earliest for key in people for attribute in _SAID}
    renamed = await contacts.rename(tx, await messages.latest_of_sender(tx, said))
    current = await contacts.read(tx, people)
    witnesses, _ = await messages.opening_messages(tx, {key: c.last_closing for key, c in current.items()})
    opened = {key: opened_last(c.opened_at, c.intervals, witnesses.get(key)) for key, c in current.items()}
    moved = {key: at for key, at in opened.items() if at != current[key].opened_at}
    await contacts.open_conversations(tx, moved)
    await contacts.mark_unpublished(tx, {*renamed, *moved})


def _changes(
    found: Sequence[LaterMessage], owned: Mapping[IdentityKey, Owned], tenant: Workspace
) -> dict[Active, Change]:
    changes: dict[Active, Change] = {}
    ceased: dict[Active, set[UUID]] = {}
    for m in (m for m in found if m.counted):
        cycle = tenant.calendar.at(m.event_time)[0]
        new = Active(tenant.workspace_id, cycle, owned[m.identity_key].contact_id)
        evidence = Evidence(m.event_time, m.message_id)
        known = changes[new].began if new in changes else None
        changes[new] = Change(RECOUNTED, evidence if known is None else min(known, evidence), set())
        ceased.setdefault(Active(tenant.workspace_id, cycle, m.owner[1]), set()).add(m.message_id)
    return changes | {active: Change(RECOUNTED, None, ids) for active, ids in ceased.items()}
