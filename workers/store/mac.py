"""Monthly active contacts: one row per (workspace, cycle, contact) with its proof, and the count kept in shards.

A shard belongs to one input partition, so no two workers write the same row; a count is the sum of its few shards.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Struct

from workers.rules.cycles import Cycle, CycleSettings
from workers.runtime.batch import Connection
from workers.store.arrays import columns
from workers.store.long_work import WITHIN_ONE_POLL_S
from workers.store.queries import load

_SQL = load("mac")


class Proof(Struct, frozen=True, gc=False):
    """A counted message. `shard` names the input partition that learned of it."""

    workspace_id: str
    cycle: Cycle
    contact_id: UUID
    at: datetime
    message_id: UUID
    shard: str


class Active(NamedTuple):
    """What one count is about: was this contact active in this cycle?"""

    workspace_id: str
    cycle: Cycle
    contact_id: UUID


class CycleMark(NamedTuple):
    """A shard of a count that changed, and at which revision."""

    workspace_id: str
    cycle_start: datetime
    shard: str
    revision: int


_Key = tuple[str, datetime, UUID]


async def add(tx: Connection, proofs: Iterable[Proof], cycles: Iterable[tuple[str, Cycle]] = ()) -> None:
    """Count messages. Of several for one contact and cycle the earliest is kept, of equal times the smaller id.

    `cycles` have a row from now on, also with nobody active.
    """
    added = await _save_better(tx, proofs)
    await _count(tx, [(p.workspace_id, p.cycle, p.shard, 1) for p in added], cycles)


async def _save_better(tx: Connection, proofs: Iterable[Proof]) -> list[Proof]:
    earliest: dict[_Key, Proof] = {}
    for proof in proofs:
        key = (proof.workspace_id, proof.cycle.start, proof.contact_id)
        known = earliest.setdefault(key, proof)
        if known is not proof and (proof.at, proof.message_id) < (known.at, known.message_id):
            earliest[key] = proof
    if not earliest:
        return []
    rows = [(*key, proof.at, proof.message_id) for key, proof in earliest.items()]
    return [earliest[tuple(key)] for key in await tx.fetch(_SQL["save_better_proofs"], *columns(rows, 5))]


async def prove_again(tx: Connection, changed: Mapping[Active, str]) -> None:
    """After messages began or ceased to count: find each proof again, or that there is none. Values are shards.

    The contacts must be locked for update: who judges a message meanwhile may rely on a proof that goes.
    """
    keys = list(changed)
    if not keys:
        return
    await tx.execute(_SQL["forget_counted"], *columns([(k.workspace_id, k.contact_id) for k in keys], 2))
    wanted = [(k.workspace_id, k.cycle.start, k.cycle.end, k.contact_id) for k in keys]
    found = {keys[row["position"] - 1]: row for row in await tx.fetch(_SQL["earliest_counted"], *columns(wanted, 4))}
    triples = [(k.workspace_id, k.cycle.start, k.contact_id) for k in keys]
    before = {
        (row["workspace_id"], row["cycle_start"], row["contact_id"])
        for row in await tx.fetch(_SQL["proofs"], *columns(triples, 3))
    }
    gone = [t for k, t in zip(keys, triples, strict=True) if t in before and k not in found]
    kept = [
        (*t, found[k]["event_time"], found[k]["message_id"]) for k, t in zip(keys, triples, strict=True) if k in found
    ]
    await tx.execute(_SQL["remove_proofs"], *columns(gone, 3))
    await tx.execute(_SQL["replace_proofs"], *columns(kept, 5))
    differences = [
        (k.workspace_id, k.cycle, changed[k], 1 if k in found else -1)
        for k, t in zip(keys, triples, strict=True)
        if (k in found) != (t in before)
    ]
    await _count(tx, differences)


async def add_cycles(tx: Connection, cycles: Iterable[tuple[str, Cycle]]) -> None:
    """Cycles that have a row from now on, also with nobody active."""
    await _count(tx, (), cycles)


async def without_current_cycle(tx: Connection, now: datetime, limit: int) -> list[tuple[str, datetime]]:
    """Workspaces (with their first message's event time) whose newest cycle is over."""
    return [tuple(row) for row in await tx.fetch(_SQL["without_current_cycle"], now, limit)]


async def recount(tx: Connection, workspace_id: str, cycles: Sequence[tuple[Cycle, CycleSettings]]) -> None:
    """Count a whole workspace again from its messages, under other cycles or settings.

    The workspace's row must be locked for update. The cost grows with the workspace's messages.
    """
    starts, ends = [c.start for c, _ in cycles], [c.end for c, _ in cycles]
    settings = [s for _, s in cycles]
    await tx.execute(
        _SQL["recount_messages"],
        workspace_id,
        starts,
        ends,
        [s.mac_block_effect for s in settings],
        [s.count_reactions for s in settings],
        [s.count_broadcasts for s in settings],
        [msgspec.json.encode(sorted(s.uncounted_channels)).decode() for s in settings],
        timeout=WITHIN_ONE_POLL_S,
    )
    await tx.execute(_SQL["forget_all_counted"], workspace_id, timeout=WITHIN_ONE_POLL_S)
    forgotten = await tx.fetch(_SQL["forget_counts"], workspace_id, timeout=WITHIN_ONE_POLL_S)
    revisions = {r["cycle_start"]: int(r["revision"]) for r in forgotten}
    await tx.execute(_SQL["recount_contacts"], workspace_id, starts, ends, timeout=WITHIN_ONE_POLL_S)
    following = [revisions.get(start, 0) + 1 for start in starts]
    await tx.execute(_SQL["recount_cycles"], workspace_id, starts, ends, following)
    await tx.execute(_SQL["recount_shards"], workspace_id)
    await tx.execute(_SQL["mark_cycles_dirty"], workspace_id, sorted({*starts, *revisions}))


async def span_of_messages(tx: Connection, workspace_id: str) -> tuple[datetime, datetime] | None:
    """Event times of a workspace's first and last message."""
    row = await tx.fetchrow(_SQL["span_of_messages"], workspace_id, timeout=WITHIN_ONE_POLL_S)
    return (row["first"], row["last"]) if row and row["first"] else None


async def dirty(tx: Connection, limit: int) -> list[CycleMark]:
    """What changed since billing.mac was last written."""
    return [CycleMark(*row) for row in await tx.fetch(_SQL["dirty_cycles"], limit)]


async def counts(
    tx: Connection, cycles: Iterable[tuple[str, datetime]]
) -> dict[tuple[str, datetime], Mapping[str, Any]]:
    """The rows of the view `mac_counts`; a cycle that is no more is left out."""
    rows = await tx.fetch(_SQL["counts"], *columns(list(set(cycles)), 2))
    return {(row["workspace_id"], row["cycle_start"]): row for row in rows}


async def revisions(tx: Connection, cycles: Collection[tuple[str, datetime]]) -> dict[tuple[str, datetime], int]:
    """Revisions of the cycles that exist."""
    return {key: row["revision"] for key, row in (await counts(tx, cycles)).items()}


async def mark_for_repair(tx: Connection, cycles: Collection[tuple[str, datetime]]) -> None:
    """What billing.mac says of these cycles is not so, also where there is no such cycle."""
    await tx.execute(_SQL["mark_for_repair"], *columns(list(cycles), 2))


async def clear_dirty(tx: Connection, marks: Sequence[CycleMark]) -> None:
    """Forget these marks, unless the count changed again meanwhile."""
    await tx.execute(_SQL["clear_dirty_cycles"], *columns(marks, 4))


async def _count(
    tx: Connection, differences: Sequence[tuple[str, Cycle, str, int]], more_cycles: Iterable[tuple[str, Cycle]] = ()
) -> None:
    cycles = {(workspace_id, cycle) for workspace_id, cycle, _, _ in differences} | set(more_cycles)
    if not cycles:
        return
    sums: Counter[tuple[str, datetime, str]] = Counter()
    for workspace_id, cycle, shard, amount in differences:
        sums[workspace_id, cycle.start, shard] += amount
    await tx.execute(
        _SQL["count"],
        *columns([(workspace_id, cycle.start, cycle.end) for workspace_id, cycle in cycles], 3),
        *columns([(*key, n) for key, n in sums.items()], 4),
    )
