"""Counts contacts of a cycle by the facts that are on time for it, whatever came late."""

from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID

from workers.rules.blocks import Interval, history
from workers.rules.closing import groups, joinings
from workers.rules.cycles import FIRST_INSTANT, Calendar, Cycle
from workers.rules.inbound import Facts, judge, of_deleted
from workers.rules.mac import Evidence
from workers.store import closing, mac
from workers.store.closing import MessageOnTime, OpenCycle
from workers.store.connection import Connection
from workers.store.workspaces import Workspace

_MESSAGES_AT_ONCE: Final = 5_000
_BEGIN: Final = Evidence(FIRST_INSTANT, UUID(int=0))


async def count_on_time(tx: Connection, tenant: Workspace, cycle: OpenCycle, contacts: Collection[UUID]) -> None:
    """Replaces the proofs of contacts, and of those they were ever merged with, by those that facts on time give.

    Every fact on time must be applied.
    """
    workspace_id = tenant.workspace_id
    merges = await closing.merges_among(tx, workspace_id, contacts)
    met = set(contacts).union(*((m.survivor_id, m.loser_id) for m in merges))
    members = groups(met, joinings(merges, cycle.closes_at, on_time=True))
    everybody = [contact_id for group in members.values() for contact_id in group]
    blocked = await closing.blocks_on_time(tx, workspace_id, everybody, cycle.closes_at)
    intervals = {contact_id: history(commands) for contact_id, commands in blocked.items()}
    stored = await mac.proofs(tx, [(workspace_id, cycle.cycle.start, contact_id) for contact_id in everybody])
    now: dict[tuple[str, Cycle, UUID], Evidence | None] = {}
    for stays, group in members.items():
        found = [await _earliest(tx, tenant.calendar, cycle, home, intervals.get(home)) for home in group]
        proof = min((evidence for evidence in found if evidence is not None), default=None)
        for contact_id in group:
            own = proof if contact_id == stays else None
            if own != stored.get((workspace_id, cycle.cycle.start, contact_id)):
                now[workspace_id, cycle.cycle, contact_id] = own
    await mac.forget_counted(tx, [(workspace_id, contact_id) for contact_id in everybody])
    await mac.replace_proofs(tx, now, stored.keys())
    await closing.settle(tx, cycle, contacts)


async def _earliest(
    tx: Connection, calendar: Calendar, cycle: OpenCycle, home: UUID, intervals: Sequence[Interval] | None
) -> Evidence | None:
    """The earliest counted message of addresses that were of that contact first."""
    place = _BEGIN
    while True:
        page = await closing.messages_on_time(tx, cycle, home, place, _MESSAGES_AT_ONCE)
        for message in page:
            if _counts(message, intervals, calendar):
                return message.evidence
        if len(page) < _MESSAGES_AT_ONCE:
            return None
        place = page[-1].evidence


def _counts(message: MessageOnTime, intervals: Sequence[Interval] | None, calendar: Calendar) -> bool:
    """Whether the message counts by blocks on time. `intervals` None: the contact was deleted with its blocks, so the
    stored verdict is the last one.
    """
    if intervals is None:
        return message.counted
    dropped = message.drop_reason is not None
    facts = Facts(
        message.kind,
        message.channel_id,
        message.event_time,
        released=message.released,
        erased=dropped and message.erased,
    )
    if message.drop_reason == "contact_deleted":
        return of_deleted(facts, calendar).counted
    return judge(facts, intervals, calendar).counted
