"""Monthly active contacts: one row per (workspace, cycle, contact) with its proof, and the count in shards.

A shard belongs to one input partition, so no two workers write the same row. A count is the sum of its few shards.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from msgspec import Struct

from workers.rules.closing import LateCause
from workers.rules.cycles import Cycle
from workers.rules.mac import Evidence, proof_now
from workers.store.arrays import columns
from workers.store.connection import Connection
from workers.store.queries import load

_SQL = load("mac")


class Proof(Struct, frozen=True, gc=False):
    """A counted message. `shard` names the input partition that it came from. `late`: it is too late for the closed
    figure of its cycle.
    """

    workspace_id: str
    cycle: Cycle
    contact_id: UUID
    at: datetime
    message_id: UUID
    shard: str
    cause: LateCause = "late_message"
    late: bool = False

    @property
    def late_fact(self) -> "LateFact":
        """The fact that it is for a closed cycle."""
        return LateFact(self.workspace_id, self.cycle, self.contact_id, self.cause, str(self.message_id))


class LateFact(NamedTuple):
    """Something that the closed figure of a cycle does not have, and that may change the count of a contact.

    `fact_id`: a message's id, or a command's.
    """

    workspace_id: str
    cycle: Cycle
    contact_id: UUID
    cause: LateCause
    fact_id: str


class Active(NamedTuple):
    """The key of one count: was this contact active in this cycle?"""

    workspace_id: str
    cycle: Cycle
    contact_id: UUID


class Change(NamedTuple):
    """A change of the counted messages of a contact in a cycle: the earliest one that began to count, and the ids of
    those that ceased to. `shard` is where the change is counted; `cause` and `fact_id` say why, if the cycle is closed.
    """

    shard: str
    began: Evidence | None
    ceased: set[UUID]
    cause: LateCause
    fact_id: str


LOOK: Final = 200
"""Number of messages to search for the next one that counts."""

RECOUNTED: Final = "recount"
"""The shard for recounted messages, which came from no input partition."""

_Key = tuple[str, datetime, UUID]


async def add(tx: Connection, proofs: Iterable[Proof], cycles: Iterable[tuple[str, Cycle]] = ()) -> None:
    """Counts messages. Of several for one contact and cycle it keeps the earliest; of equal times the smaller id. Late
    ones, and those for cycles that are closed, are kept as late facts.

    Also inserts rows for `cycles`, even without activity.
    """
    late: list[LateFact] = []
    added = await _save_better(tx, proofs, late)
    await _count(tx, [(p.workspace_id, p.cycle, p.shard, 1) for p in added], cycles)
    await leave_late(tx, late)


async def leave_late(tx: Connection, facts: Collection[LateFact]) -> None:
    """Keeps late facts for the billing worker. Inserts rows of their cycles."""
    if facts:
        await add_cycles(tx, {(fact.workspace_id, fact.cycle) for fact in facts})
        rows = [(f.workspace_id, f.cycle.start, f.contact_id, f.cause, f.fact_id) for f in facts]
        await tx.execute(_SQL["leave_late"], *columns(rows, 5))


async def _save_better(tx: Connection, proofs: Iterable[Proof], late: list[LateFact]) -> list[Proof]:
    earliest: dict[_Key, Proof] = {}
    for proof in proofs:
        if proof.late:
            late.append(proof.late_fact)
            continue
        key = (proof.workspace_id, proof.cycle.start, proof.contact_id)
        known = earliest.setdefault(key, proof)
        if known is not proof and (proof.at, proof.message_id) < (known.at, known.message_id):
            earliest[key] = proof
    if not earliest:
        return []
    rows = [(*key, proof.at, proof.message_id) for key, proof in earliest.items()]
    added: list[Proof] = []
    for workspace_id, start, contact_id, closed in await tx.fetch(_SQL["save_better_proofs"], *columns(rows, 5)):
        proof = earliest[workspace_id, start, contact_id]
        if closed:
            late.append(proof.late_fact)
        else:
            added.append(proof)
    return added


async def _closed(tx: Connection, cycles: Collection[tuple[str, datetime]]) -> set[tuple[str, datetime]]:
    """Those of these cycles that are closed."""
    return {(row[0], row[1]) for row in await tx.fetch(_SQL["closed"], *columns(list(cycles), 2))} if cycles else set()


async def prove_again(tx: Connection, changed: Mapping[Active, Change]) -> set[Active]:
    """Finds each proof again, or that there is none, after messages began or ceased to count. Returns those whose next
    counted message is not among the first ones: their proofs stay as they are, and a step has to find them.

    The contacts must be locked for update: a transaction that judges a message could rely on a proof that is deleted.
    """
    if not changed:
        return set()
    await forget_counted(tx, [(k.workspace_id, k.contact_id) for k in changed])
    closed = await _closed(tx, {(k.workspace_id, k.cycle.start) for k in changed})
    late = [k for k in changed if (k.workspace_id, k.cycle.start) in closed]
    await leave_late(tx, [LateFact(*k, changed[k].cause, changed[k].fact_id) for k in late])
    keys = [k for k in changed if (k.workspace_id, k.cycle.start) not in closed]
    before = await proofs(tx, [(k.workspace_id, k.cycle.start, k.contact_id) for k in keys])
    now: dict[Active, Evidence | None] = {}
    gone: dict[Active, Evidence] = {}
    for key in keys:
        change = changed[key]
        stored = before.get((key.workspace_id, key.cycle.start, key.contact_id))
        seen = stored is not None and stored.message_id in change.ceased
        # No counted message is earlier than the stored proof. Without a stored proof no message counts.
        proof = proof_now(stored, change.began, seen=seen)
        if seen and stored is not None and (proof is None or proof > stored):
            gone[key] = stored
        elif proof != stored:
            now[key] = proof
    others, undecided = await following(tx, gone)
    now |= others
    saved = {(k.workspace_id, k.cycle, k.contact_id): (proof, changed[k].shard) for k, proof in now.items()}
    await replace(tx, saved, before)
    return undecided


async def following(
    tx: Connection, gone: Mapping[Active, Evidence]
) -> tuple[dict[Active, Evidence | None], set[Active]]:
    """The next counted message after each lost proof, and the keys for which it is not among the first messages."""
    keys, found, undecided = list(gone), dict[Active, Evidence | None](), set[Active]()
    wanted = [(k.workspace_id, k.contact_id, *gone[k], k.cycle.end) for k in keys]
    for row in await tx.fetch(_SQL["earliest_counted"], *columns(wanted, 5), LOOK) if wanted else ():
        key = keys[row["position"] - 1]
        if row["more"]:
            undecided.add(key)
        else:
            found[key] = Evidence(row["event_time"], row["message_id"]) if row["event_time"] is not None else None
    return found, undecided


async def ended_cycles(tx: Connection, workspace_ids: Sequence[str], until: datetime) -> list[tuple[str, Cycle, bool]]:
    """The cycles of these workspaces that had ended at a time or are closed, the last one first, and whether each is
    closed.
    """
    rows = await tx.fetch(_SQL["ended_cycles"], workspace_ids, until)
    return [(workspace_id, Cycle(start, end), status == "closed") for workspace_id, start, end, status in rows]


async def open_proofs(tx: Connection, workspace_id: str, contacts: Sequence[UUID]) -> dict[Active, Evidence]:
    """The stored proofs of contacts in all open cycles."""
    rows = await tx.fetch(_SQL["open_proofs"], workspace_id, contacts)
    return {Active(workspace_id, Cycle(start, end), c): Evidence(*proof) for start, end, c, *proof in rows}


async def proofs(
    tx: Connection, active: Collection[tuple[str, datetime, UUID]]
) -> dict[tuple[str, datetime, UUID], Evidence]:
    """The stored proofs, by workspace, cycle start and contact."""
    rows = await tx.fetch(_SQL["proofs"], *columns(list(active), 3))
    return {(w, start, contact_id): Evidence(*proof) for w, start, contact_id, *proof in rows}


async def replace_proofs(
    tx: Connection,
    now: Mapping[tuple[str, Cycle, UUID], Evidence | None],
    before: Collection[_Key],
) -> None:
    """Replaces proofs; None: there is none any more. `before`: the stored ones.

    The contacts must be locked for update, or the workspace, as in `prove_again`.
    """
    await replace(tx, {key: (proof, RECOUNTED) for key, proof in now.items()}, before)


async def replace(
    tx: Connection, now: Mapping[tuple[str, Cycle, UUID], tuple[Evidence | None, str]], before: Collection[_Key]
) -> None:
    # A closed count never changes.
    closed = await _closed(tx, {(w, cycle.start) for w, cycle, _ in now})
    keys = {
        (w, cycle.start, contact_id): (cycle, *proof)
        for (w, cycle, contact_id), proof in now.items()
        if (w, cycle.start) not in closed
    }
    gone = [k for k, (_, proof, _) in keys.items() if proof is None and k in before]
    await tx.execute(_SQL["remove_proofs"], *columns(gone, 3))
    await tx.execute(_SQL["replace_proofs"], *columns([(*k, *p) for k, (_, p, _) in keys.items() if p is not None], 5))
    await _count(
        tx,
        [
            (key[0], cycle, shard, 1 if proof is not None else -1)
            for key, (cycle, proof, shard) in keys.items()
            if (proof is not None) != (key in before)
        ],
    )


async def forget_counted(tx: Connection, contacts: Collection[tuple[str, UUID]]) -> None:
    """Clears the note that these contacts are counted, so that the next message looks for their proofs again."""
    await tx.execute(_SQL["forget_counted"], *columns(list(contacts), 2))


async def add_cycles(tx: Connection, cycles: Iterable[tuple[str, Cycle]]) -> None:
    """Inserts rows for cycles, also without activity."""
    await _count(tx, (), cycles)


async def sum_quarters(tx: Connection, limit: int) -> int:
    """Sums up changes of the counts by quarter of an hour, at most `limit`. Returns how many there were."""
    return int(await tx.fetchval(_SQL["sum_quarters"], limit))


async def without_current_cycle(tx: Connection, now: datetime, limit: int) -> list[tuple[str, datetime]]:
    """Workspaces whose newest cycle is over, with its end."""
    return [tuple(row) for row in await tx.fetch(_SQL["without_current_cycle"], now, limit)]


async def has_cycles_since(tx: Connection, workspace_id: str, since: datetime) -> bool:
    """Whether a contact was active, or a cycle began, since then."""
    return bool(await tx.fetchval(_SQL["has_cycles_since"], workspace_id, since))


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
