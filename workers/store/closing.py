"""Closing of cycles: what is due, how far the input is applied, late facts and adjustments.

Nothing may change the count of a cycle while it closes. Transactions of workers hold the rows of their partitions, and
those of jobs hold a lock of their own (`hold_open`); who closes waits for both.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from workers.records import Partition
from workers.rules.blocks import BlockCommand
from workers.rules.closing import LateCause, StoredJoining
from workers.rules.cycles import Cycle
from workers.rules.mac import Evidence
from workers.store.arrays import columns
from workers.store.connection import Connection
from workers.store.queries import load

_SQL: Final = load("closing")

WAIT_FOR_JOBS_MS: Final = 2_000
WAIT_FOR_MESSAGES_MS: Final = 100
"""How long closing waits for a partition's row. Messages of partitions that it has already wait as long."""


class OpenCycle(NamedTuple):
    """A cycle that is not closed, and its closing instant."""

    workspace_id: str
    cycle: Cycle
    closes_at: datetime


class FoundCycle(NamedTuple):
    """A cycle, whether it is closed, and whether a command asked for that."""

    cycle: Cycle
    closed: bool
    asked: bool


class StoredLateFact(NamedTuple):
    """A late fact of a cycle that is closed."""

    contact_id: UUID
    cause: LateCause
    fact_id: str
    at: datetime


class LateOfCycle(NamedTuple):
    """Late facts of one closed cycle."""

    workspace_id: str
    cycle: Cycle
    facts: Sequence[StoredLateFact]


class MessageOnTime(NamedTuple):
    """A message that is on time for its cycle. `counted` is by all facts; `released`: on time."""

    event_time: datetime
    message_id: UUID
    kind: str
    channel_id: str
    drop_reason: str | None
    counted: bool
    released: bool
    erased: bool

    @property
    def evidence(self) -> Evidence:
        return Evidence(self.event_time, self.message_id)


class Adjustment(NamedTuple):
    """A signed change of a closed count."""

    contact_id: UUID
    amount: int
    cause: LateCause
    fact_id: str


async def hold_open(tx: Connection) -> None:
    """No cycle closes until the transaction ends."""
    await tx.execute(_SQL["hold_open"])


async def exclude_others(tx: Connection) -> None:
    """No other transaction changes counts until this one ends.

    Raises:
        asyncpg.LockNotAvailableError: a transaction took too long. Try again later.
    """
    await tx.execute(_SQL["limit_wait"], f"{WAIT_FOR_JOBS_MS}ms")
    await tx.execute(_SQL["wait_for_jobs"])
    await tx.execute(_SQL["limit_wait"], f"{WAIT_FOR_MESSAGES_MS}ms")
    await tx.fetch(_SQL["wait_for_partitions"])


async def without_instant(tx: Connection, limit: int) -> list[tuple[str, Cycle]]:
    """Open cycles whose closing instant is not computed yet."""
    return [(w, Cycle(start, end)) for w, start, end in await tx.fetch(_SQL["without_instant"], limit)]


async def save_instants(tx: Connection, instants: Mapping[tuple[str, datetime], datetime]) -> None:
    """Saves closing instants, by workspace and start of the cycle."""
    await tx.execute(_SQL["save_instants"], *columns([(*key, at) for key, at in instants.items()], 3))


async def forget_instants(tx: Connection, workspace_ids: Collection[str]) -> None:
    """Has the closing instants of the open cycles of these workspaces computed again."""
    if workspace_ids:
        await tx.execute(_SQL["forget_instants"], list(workspace_ids))


async def is_waiting(tx: Connection) -> bool:
    """Whether a cycle is past its closing instant and still open."""
    return bool(await tx.fetchval(_SQL["is_waiting"]))


async def due(tx: Connection, passed: datetime, limit: int) -> list[OpenCycle]:
    """Open cycles whose instant is not later than `passed`, or that a command closes. Leaves out those of workspaces
    whose counts pending work still changes.
    """
    rows = await tx.fetch(_SQL["due"], passed, limit)
    return [OpenCycle(w, Cycle(start, end), closes_at) for w, start, end, closes_at in rows]


async def passed(tx: Connection) -> datetime | None:
    """The latest instant that all input partitions are applied past. None: one is past none, or none is known."""
    found: datetime | None = await tx.fetchval(_SQL["passed"])
    return found


async def delay_s(tx: Connection) -> float:
    """For how long the oldest cycle is past its closing instant and still open."""
    return float(await tx.fetchval(_SQL["delay"]))


async def save_ends(tx: Connection, ends: Mapping[Partition, int], read_at: datetime) -> None:
    """Replaces the ends of the input partitions. `read_at`: a time before they were read, on the database's clock."""
    rows = [(*source, end) for source, end in ends.items()]
    await tx.execute(_SQL["save_ends"], *columns(rows, 3), read_at)


async def find_beside(tx: Connection, cycles: Sequence[OpenCycle]) -> None:
    """Keeps the late blocks and merges that may have changed what facts on time gave that were applied after them.

    Every fact on time must be applied.
    """
    rows = [(c.workspace_id, c.cycle.start, c.closes_at) for c in cycles]
    await tx.execute(_SQL["find_beside"], *columns(rows, 3))


async def unsettled(tx: Connection, cycles: Sequence[OpenCycle], limit: int) -> dict[OpenCycle, list[UUID]]:
    """Contacts with late facts that are not settled, at most so many of all cycles together."""
    rows = [(c.workspace_id, c.cycle.start) for c in cycles]
    found: dict[OpenCycle, list[UUID]] = {}
    for position, contact_id in await tx.fetch(_SQL["unsettled"], *columns(rows, 2), limit):
        found.setdefault(cycles[position - 1], []).append(contact_id)
    return found


async def settle(tx: Connection, cycle: OpenCycle, contacts: Collection[UUID]) -> None:
    """Notes that these contacts are counted by the facts on time."""
    await tx.execute(_SQL["settle"], cycle.workspace_id, cycle.cycle.start, list(contacts))


async def merges_among(tx: Connection, workspace_id: str, contacts: Collection[UUID]) -> list[StoredJoining]:
    """All merges of these contacts and of those they were ever merged with, in the order in which they were applied."""
    rows = await tx.fetch(_SQL["merges_among"], workspace_id, list(contacts))
    return [StoredJoining(*row) for _, *row in rows]


async def blocks_on_time(
    tx: Connection, workspace_id: str, contacts: Collection[UUID], closes_at: datetime
) -> dict[UUID, list[BlockCommand]]:
    """The commands about the blocks of each contact that are on time for a cycle. Leaves out deleted contacts."""
    found: dict[UUID, list[BlockCommand]] = defaultdict(list)
    for contact_id, *command in await tx.fetch(_SQL["blocks_on_time"], workspace_id, list(contacts), closes_at):
        known = found[contact_id]
        if command[0] is not None:
            known.append(BlockCommand(*command))
    return dict(found)


async def messages_on_time(
    tx: Connection, cycle: OpenCycle, contact_id: UUID, after: Evidence, limit: int
) -> list[MessageOnTime]:
    """Messages of a cycle, of addresses that were of that contact first, after a position, oldest first."""
    rows = await tx.fetch(
        _SQL["messages_on_time"],
        cycle.workspace_id,
        contact_id,
        *cycle.cycle,
        cycle.closes_at,
        *after,
        limit,
    )
    return [MessageOnTime(*row) for row in rows]


async def close(tx: Connection, cycles: Collection[OpenCycle]) -> int:
    """Closes cycles whose late facts are settled. Returns how many. Call `exclude_others` before."""
    rows = [(c.workspace_id, c.cycle.start) for c in cycles]
    return int(await tx.fetchval(_SQL["close"], *columns(rows, 2)))


async def find(tx: Connection, workspace_id: str, start: datetime) -> FoundCycle | None:
    """The cycle that starts then, locked."""
    row = await tx.fetchrow(_SQL["find_cycle"], workspace_id, start)
    if row is None:
        return None
    return FoundCycle(
        Cycle(row["cycle_start"], row["cycle_end"]), row["status"] == "closed", row["closed_by"] is not None
    )


async def ask(tx: Connection, workspace_id: str, start: datetime, command_id: UUID, reason: str) -> None:
    """Has the billing worker close a cycle, whatever holds it open."""
    await tx.execute(_SQL["force"], workspace_id, start, command_id, reason)


async def find_late(
    tx: Connection, workspace_id: str, contacts: Collection[UUID], cycle: Cycle, closes_at: datetime
) -> None:
    """Keeps what is late for a cycle, by an instant that is earlier than it was, about these contacts."""
    await tx.execute(_SQL["find_late"], workspace_id, list(contacts), *cycle, closes_at)


async def late_of_closed(tx: Connection, limit: int) -> LateOfCycle | None:
    """The next late facts of a closed cycle."""
    rows = await tx.fetch(_SQL["late_of_closed"], limit)
    if not rows:
        return None
    workspace_id, start, end = rows[0][:3]
    return LateOfCycle(workspace_id, Cycle(start, end), [StoredLateFact(*row[3:]) for row in map(tuple, rows)])


async def active_by_all_facts(tx: Connection, workspace_id: str, cycle: Cycle, contacts: Collection[UUID]) -> set[UUID]:
    """Those of these contacts that have a counted message in the cycle, from addresses that were theirs first."""
    rows = await tx.fetch(_SQL["active_by_all_facts"], workspace_id, list(contacts), *cycle)
    return {contact_id for (contact_id,) in rows}


async def adjusted(tx: Connection, workspace_id: str, cycle: Cycle, contacts: Collection[UUID]) -> dict[UUID, int]:
    """The sums of the adjustments of these contacts."""
    rows = await tx.fetch(_SQL["adjusted"], workspace_id, cycle.start, list(contacts))
    return dict(map(tuple, rows))


async def adjust(tx: Connection, workspace_id: str, cycle: Cycle, adjustments: Sequence[Adjustment]) -> None:
    """Adds adjustments to a closed cycle."""
    if adjustments:
        await tx.execute(_SQL["adjust"], workspace_id, cycle.start, *columns(adjustments, 4))


async def forget_late(tx: Connection, late: LateOfCycle) -> None:
    """Deletes late facts that have become adjustments."""
    rows: list[tuple[Any, ...]] = [fact[:3] for fact in late.facts]
    await tx.execute(_SQL["forget_late"], late.workspace_id, late.cycle.start, *columns(rows, 3))
