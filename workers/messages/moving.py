"""Messages that belong to another contact, because an address had another owner at their time than was known.

A removal of an address, the end of the block that held it back, or a deletion may arrive after later messages were
stored. Who has an address is settled at once. The messages follow: of one address very many do so in steps.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from workers.errors import RetryBatch
from workers.messages import recounting
from workers.messages.late_blocks import revise
from workers.records import Output, Record
from workers.rules.blocks import BlockChange, Interval
from workers.rules.contact import ContactKey
from workers.rules.conversations import opened_last
from workers.rules.cycles import FIRST_INSTANT
from workers.rules.identities import ResolvedIdentity, identify
from workers.rules.mac import Evidence
from workers.rules.ownership import has_at
from workers.store import (
    address_hashes,
    contacts,
    deletions,
    mac,
    messages,
    ownership,
    pending_work,
    senders,
    workspaces,
)
from workers.store.connection import Connection
from workers.store.contacts import IdentityKey, Said
from workers.store.mac import Active, Change
from workers.store.ownership import Misplaced
from workers.store.pending_work import Stepped, Work
from workers.store.workspaces import Workspace

MOVE: Final = "move messages"
_SAID: Final = ("name", "language", "avatar_url")
_JUST_AFTER: Final = timedelta(microseconds=1)

Moment = tuple[IdentityKey, datetime]


@dataclass(frozen=True, slots=True)
class MoveCause:
    """The command, its record, and the settings of its workspace."""

    command_id: UUID
    record: Record[Any]
    tenant: Workspace


class _Taker(NamedTuple):
    """Who had an address. `home`: whose blocks judge its messages; None: the contact is deleted."""

    identity_id: int
    contact: ContactKey
    home: ContactKey | None


_Given = Sequence[tuple[Misplaced, _Taker]]


async def move(tx: Connection, identity_id: int, cause: MoveCause, now: datetime) -> list[Output]:
    """Gives away the messages that are not of the time in which the contact has this address. Leaves to steps what is
    too much for a transaction.

    The contact is locked for update. Returns the events of messages that the blocks of their new contact judge
    otherwise.
    """
    workspace_id = cause.tenant.workspace_id
    found = await ownership.misplaced(tx, workspace_id, [identity_id], (), pending_work.ROWS_AT_ONCE)
    number, outputs = await give(tx, found, cause, now)
    if number == pending_work.ROWS_AT_ONCE:
        left = await ownership.count_misplaced(tx, workspace_id, identity_id)
        work = Work(
            workspace_id=workspace_id,
            kind=MOVE,
            subject=str(identity_id),
            command_id=cause.command_id,
            done=number,
            total=number + left,
        )
        await pending_work.add(tx, [work])
    return outputs


async def run_step(tx: Connection, work: Work, now: datetime) -> Stepped:
    """Gives away the next messages of an address. Those of a contact that was deleted since go with its history.

    Raises:
        RetryBatch: the address moved to another contact meanwhile.
    """
    tenant = (await workspaces.share(tx, {(work.workspace_id, "", "")}))[work.workspace_id]
    key = work.workspace_id, int(work.subject)
    owned = (await ownership.load(tx, [key])).get(key)
    if owned is None or owned.contact_key not in await contacts.lock_for_update(tx, [owned.contact_key]):
        return Stepped((), 0, more=False)
    if (await ownership.load(tx, [key])).get(key) != owned:
        raise RetryBatch("an address moved to another contact while its owner was being locked")
    found = await ownership.misplaced(tx, work.workspace_id, [owned.identity_id], (), pending_work.STEP)
    number, outputs = await give(tx, found, MoveCause(work.command_id, pending_work.origin(now), tenant), now)
    return Stepped(outputs, number, more=number == pending_work.STEP)


async def give(tx: Connection, found: Sequence[Misplaced], cause: MoveCause, now: datetime) -> tuple[int, list[Output]]:
    """Gives messages of one workspace to those who had their addresses at their time: to somebody new if nobody had.

    The contacts that they are taken from are locked for update, or deleted. Returns how many messages moved, and the
    events of those that the blocks of their new contact judge otherwise.

    Raises:
        RetryBatch: an address moved to another contact while this transaction waited for its owner.
    """
    takers = await _takers(tx, found) if found else {}
    given = [(m, taker) for m in found if (taker := takers[m.key, m.event_time]).identity_id != m.identity_id]
    if not given:
        return 0, []
    await ownership.give(tx, [(m.generation, m.message_id, t.identity_id, t.home is None) for m, t in given])
    await contacts.connect(tx, _connections(given))
    people = {m.owner for m, _ in given} | {taker.contact for _, taker in given}
    for active in await mac.prove_again(tx, _counted(given, cause)):
        key = active.workspace_id, active.contact_id
        await recounting.leave(tx, key, active.cycle.start, cause.command_id)
    # As if what covered these times had changed: whatever the present histories make of them.
    everything = {home: BlockChange(*home, cause.command_id, now, (span,), ()) for home, span in _spans(given).items()}
    _, outputs = await revise(tx, everything, dict.fromkeys(everything, cause.record), now)
    await _open_again(tx, given, cause)
    said: dict[Said, datetime] = dict.fromkeys(((*key, name) for key in people for name in _SAID), FIRST_INSTANT)
    await contacts.rename(tx, await messages.latest_of_sender(tx, said))
    await contacts.mark_unpublished(tx, people)
    await recounting.leave_moved(tx, people, cause.command_id)
    return len(given), outputs


async def _takers(tx: Connection, found: Sequence[Misplaced]) -> dict[Moment, _Taker]:
    """Who had each address at the time of its messages."""
    moments = {(m.key, m.event_time) for m in found}
    owners = await contacts.find_at(tx, moments)
    deleted = await _deleted_takers(tx, moments - owners.keys())
    nobodys = moments - owners.keys() - deleted.keys()
    if nobodys:
        named = {m.key: (_identity(m), m.channel_id) for m in found if (m.key, m.event_time) in nobodys}
        made, _ = await senders.find_or_add(tx, named)
        owners |= {(key, at): made[key] for key, at in nobodys}
    ids = {(key.workspace_id, owned.identity_id) for (key, _), owned in owners.items()}
    addresses = await ownership.load(tx, ids)
    await contacts.lock_for_update(tx, {key for a in addresses.values() for key in (a.contact_key, a.home_key)})
    await contacts.require_same_owners(tx, {moment: owned for moment, owned in owners.items() if moment not in nobodys})
    living = {
        (key, at): _Taker(owned.identity_id, address.contact_key, address.home_key)
        for (key, at), owned in owners.items()
        for address in [addresses[key.workspace_id, owned.identity_id]]
    }
    return living | deleted


async def _deleted_takers(tx: Connection, moments: Collection[Moment]) -> dict[Moment, _Taker]:
    """Those who were deleted since."""
    keys = {key for key, _ in moments}
    await deletions.free_addresses(tx, keys)
    kept = await address_hashes.find(tx, keys)
    return {
        (key, at): _Taker(owner.identity_id, (key.workspace_id, owner.contact_id), None)
        for key, at in moments
        if (owner := next((k for k in kept.get(key, ()) if has_at(k, at)), None)) is not None
    }


def _identity(message: Misplaced) -> ResolvedIdentity:
    key = message.key
    understood = identify(key.channel, key.scope, message.address, None)
    return understood._replace(scope=key.scope, lookup=key.lookup, address=message.address)


def _connections(given: _Given) -> dict[tuple[str, int], tuple[datetime, str]]:
    latest_first = sorted(given, key=lambda each: each[0].event_time, reverse=True)
    return {(m.key.workspace_id, t.identity_id): (m.event_time, m.channel_id) for m, t in latest_first}


def _spans(given: _Given) -> dict[ContactKey, Interval]:
    """The times of the messages that the blocks of each contact judge now."""
    times: dict[ContactKey, list[datetime]] = {}
    for message, taker in given:
        if taker.home is not None:
            times.setdefault(taker.home, []).append(message.event_time)
    return {home: Interval(min(at), max(at) + _JUST_AFTER) for home, at in times.items()}


def _counted(given: _Given, cause: MoveCause) -> Mapping[Active, Change]:
    shard = f"{cause.record.source.topic}/{cause.record.source.partition}"
    changes: dict[Active, Change] = {}
    for m, taker in given:
        if not m.counted:
            continue
        cycle, _ = cause.tenant.calendar.at(m.event_time)
        none = Change(shard, None, set(), "late_message", str(m.message_id))
        left = changes.setdefault(Active(m.owner[0], cycle, m.owner[1]), none)
        left.ceased.add(m.message_id)
        evidence, active = Evidence(m.event_time, m.message_id), Active(taker.contact[0], cycle, taker.contact[1])
        known = changes.get(active, none._replace(ceased=set()))
        began = evidence if known.began is None else min(known.began, evidence)
        changes[active] = known._replace(began=began)
    return changes


async def _open_again(tx: Connection, given: _Given, cause: MoveCause) -> None:
    """Finds what opened each conversation. A message that opened it may be another contact's now."""
    lost = {(m.owner, m.event_time) for m, _ in given}
    people = await contacts.read(tx, {m.owner for m, _ in given} | {taker.contact for _, taker in given})
    witnesses, undecided = await messages.opening_messages(tx, {key: c.last_closing for key, c in people.items()})
    for key in undecided:
        await recounting.leave(tx, key, people[key].last_closing or FIRST_INSTANT, cause.command_id)
    opened: dict[ContactKey, datetime | None] = {}
    for key, contact in people.items():
        known = contact.opened_at
        if known is not None and (key, known) in lost:
            known = None
        at = opened_last(known, contact.intervals, witnesses.get(key))
        if at != contact.opened_at:
            opened[key] = at
    await contacts.open_conversations(tx, opened)
