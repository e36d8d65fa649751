"""Counts of contacts that are merged, or parted again."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from workers.rules.closing import LateCause
from workers.rules.cycles import FIRST_INSTANT, Calendar, Cycle
from workers.rules.mac import Evidence
from workers.store import mac
from workers.store.connection import Connection
from workers.store.mac import Active, LateFact


class Regrouping(NamedTuple):
    """A merge of two contacts, or its undo. `at` is its `issued_at`, `recorded_at` the watermark of its record."""

    workspace_id: str
    survivor: UUID
    loser: UUID
    command_id: UUID
    cause: LateCause
    at: datetime
    recorded_at: datetime
    shard: str


async def _proofs_of(tx: Connection, regrouping: Regrouping, calendar: Calendar) -> dict[Active, Evidence]:
    """The stored proofs of both contacts in the cycles that the merge or undo changes. For those that close after it
    was issued and before its record it is a late fact.
    """
    workspace_id, both = regrouping.workspace_id, [regrouping.survivor, regrouping.loser]
    await mac.forget_counted(tx, [(workspace_id, contact_id) for contact_id in both])
    late = {
        cycle
        for _, cycle, closed in await mac.ended_cycles(tx, [workspace_id], regrouping.recorded_at)
        if calendar.closes_at(cycle) > regrouping.at and (closed or calendar.is_late(cycle, regrouping.recorded_at))
    }
    fact = regrouping.cause, str(regrouping.command_id)
    await mac.leave_late(tx, [LateFact(workspace_id, cycle, id_, *fact) for cycle in late for id_ in both])
    found = await mac.open_proofs(tx, workspace_id, both)
    return {
        active: proof
        for active, proof in found.items()
        if calendar.closes_at(active.cycle) > regrouping.at and active.cycle not in late
    }


async def unite(tx: Connection, merge: Regrouping, calendar: Calendar) -> None:
    """Counts two contacts as one in the open cycles that close after the merge. Both are locked for update."""
    workspace_id, survivor, loser, shard = merge.workspace_id, merge.survivor, merge.loser, merge.shard
    known = await _proofs_of(tx, merge, calendar)
    now: dict[tuple[str, Cycle, UUID], tuple[Evidence | None, str]] = {}
    for active, proof in known.items():
        if active.contact_id == loser:
            theirs = known.get(active._replace(contact_id=survivor), proof)
            now[workspace_id, active.cycle, survivor] = min(proof, theirs), shard
            now[workspace_id, active.cycle, loser] = None, shard
    await mac.replace(tx, now, {(a.workspace_id, a.cycle.start, a.contact_id) for a in known})


async def separate(tx: Connection, undo: Regrouping, calendar: Calendar) -> set[Active]:
    """Counts two contacts apart again in the open cycles that close after the undo, by the messages that each has now.
    Returns those whose first counted message is not among their first ones: a step has to find it.
    """
    workspace_id, survivor, loser, shard = undo.workspace_id, undo.survivor, undo.loser, undo.shard
    known = await _proofs_of(tx, undo, calendar)
    before_all = Evidence(FIRST_INSTANT, UUID(int=0))
    keys = [active._replace(contact_id=contact) for active in known for contact in (survivor, loser)]
    wanted = {key: before_all._replace(at=key.cycle.start) for key in keys}
    found, undecided = await mac.following(tx, wanted)
    now = {(workspace_id, key.cycle, key.contact_id): (proof, shard) for key, proof in found.items()}
    await mac.replace(tx, now, {(a.workspace_id, a.cycle.start, a.contact_id) for a in known})
    return undecided
