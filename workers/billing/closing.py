"""Closes cycles, and adjusts those that are closed (contract 5.6).

An open cycle counts what is applied. A late fact never changes its count; it is kept apart. Before a cycle closes, each
contact with a late fact is counted again by the facts on time, because facts on time may have been judged together with
late ones. Then the cycle is closed in one short transaction. From then on the differences to what all facts give become
adjustments.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from workers.billing.on_time import count_on_time
from workers.records import Event
from workers.rules.closing import Joining, LateCause, corrections, groups, joinings
from workers.services.job_runner import Job, Unfinished
from workers.store import closing, contacts, mac, workspaces
from workers.store.closing import Adjustment, OpenCycle, StoredLateFact
from workers.store.connection import Connection

_INSTANTS_AT_ONCE: Final = 1_000
_CYCLES_AT_ONCE: Final = 500
_CONTACTS_AT_ONCE: Final = 500
_LAST_CONTACTS: Final = 50
"""Contacts of all cycles that are settled while messages wait."""
_FACTS_AT_ONCE: Final = 1_000
_NEVER: Final = datetime(1, 1, 1, tzinfo=UTC)
_LOWERING: Final[Collection[LateCause]] = ("late_block", "merge")


async def close_due(tx: Connection, _now: datetime) -> Sequence[Event] | Unfinished:
    """Does one step towards closing: computes closing instants, settles contacts, or closes cycles."""
    if new := await closing.without_instant(tx, _INSTANTS_AT_ONCE):
        tenants = await workspaces.share(tx, {(workspace_id, "", "") for workspace_id, _ in new})
        instants = {(w, cycle.start): tenants[w].calendar.closes_at(cycle) for w, cycle in new}
        await closing.save_instants(tx, instants)
        return Unfinished()
    cycles = await closing.due(tx, await closing.passed(tx) or _NEVER, _CYCLES_AT_ONCE)
    if not cycles:
        return ()
    found = await closing.unsettled(tx, cycles, _CONTACTS_AT_ONCE)
    if sum(map(len, found.values())) <= _LAST_CONTACTS:
        await closing.find_beside(tx, cycles)
        found = await closing.unsettled(tx, cycles, _CONTACTS_AT_ONCE)
    if sum(map(len, found.values())) > _LAST_CONTACTS:
        await _settle(tx, found)
        return Unfinished()
    await closing.exclude_others(tx)
    await _settle(tx, await closing.unsettled(tx, cycles, _LAST_CONTACTS))
    await closing.close(tx, cycles)
    return Unfinished()


async def _settle(tx: Connection, found: Mapping[OpenCycle, Sequence[UUID]]) -> None:
    if found:
        tenants = await workspaces.share(tx, {(c.workspace_id, "", "") for c in found})
        for cycle, late in found.items():
            await count_on_time(tx, tenants[cycle.workspace_id], cycle, late)


async def adjust_closed(tx: Connection, _now: datetime) -> Sequence[Event] | Unfinished:
    """Turns the next late facts of a closed cycle into adjustments."""
    late = await closing.late_of_closed(tx, _FACTS_AT_ONCE)
    if late is None:
        return ()
    workspace_id, cycle, facts = late
    tenant = (await workspaces.share(tx, {(workspace_id, "", "")}))[workspace_id]
    closes_at = tenant.calendar.closes_at(cycle)
    named = {fact.contact_id for fact in facts}
    await contacts.lock_present(tx, [(workspace_id, contact_id) for contact_id in named])
    merges = await closing.merges_among(tx, workspace_id, named)
    # Also those who do not count as one in this cycle: a message of one was left for the one that it was merged with.
    met = groups(named, [Joining(m.survivor_id, m.loser_id) for m in merges])
    families = {contact_id: family for family in met.values() for contact_id in family}
    everybody = families.keys()
    members = groups(everybody, joinings(merges, closes_at, on_time=False))
    active = await closing.active_by_all_facts(tx, workspace_id, cycle, everybody)
    counted = {key[2] for key in await mac.proofs(tx, [(workspace_id, cycle.start, id_) for id_ in everybody])}
    so_far = await closing.adjusted(tx, workspace_id, cycle, everybody)
    adjustments: list[Adjustment] = []
    for stays, group in members.items():
        wanted = corrections(group, stays, counted, so_far, active=not active.isdisjoint(group))
        adjustments += _explained(wanted, facts, merged=families[stays])
    await closing.adjust(tx, workspace_id, cycle, adjustments)
    await mac.forget_counted(tx, [(workspace_id, contact_id) for contact_id in everybody])
    await closing.forget_late(tx, late)
    return Unfinished()


def _explained(
    amounts: Mapping[UUID, int], facts: Sequence[StoredLateFact], merged: Collection[UUID]
) -> Iterable[Adjustment]:
    """The adjustments, each with the fact that caused it: the last one of the contact, or of those it was ever merged
    with, that may have that sign.
    """
    for contact_id, amount in sorted(amounts.items()):
        own = [fact for fact in facts if fact.contact_id == contact_id]
        candidates = own or [fact for fact in facts if fact.contact_id in merged]
        fitting = [fact for fact in candidates if (fact.cause in _LOWERING) == (amount < 0)] or candidates
        cause = max(fitting, key=lambda fact: (fact.at, fact.cause, fact.fact_id))
        yield Adjustment(contact_id, amount, cause.cause, cause.fact_id)


JOBS: Final = (Job("close cycles", 1, close_due), Job("adjust closed cycles", 1, adjust_closed))
