"""What verifying asks: the stored figures of cycles, and contacts whose rows differ from their messages."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from workers.rules.closing import StoredJoining
from workers.rules.mac import Evidence
from workers.rules.verifying import CycleFigures, Difference, HomeInCycle
from workers.store.connection import Connection
from workers.store.queries import load

_SQL: Final = load("verifying")


class VerifiedWorkspace(NamedTuple):
    """`has_cycles`: every cycle since the first message has a row, but for those that began just now. `counted_again`:
    pending work counts it again, so rows and messages may differ; `contacts_again`: the number of contacts of whom that
    is true; `late_facts`: the number of those that are not adjusted yet.
    """

    first_message_at: datetime | None
    has_cycles: bool
    counted_again: bool
    contacts_again: int
    late_facts: int


async def workspace(tx: Connection, workspace_id: str) -> VerifiedWorkspace | None:
    """None: there is no such workspace."""
    row = await tx.fetchrow(_SQL["workspace"], workspace_id)
    return None if row is None else VerifiedWorkspace(*row)


async def workspaces_after(tx: Connection, workspace_id: str, limit: int) -> list[str]:
    """Workspaces in the order of their ids."""
    return [name for (name,) in await tx.fetch(_SQL["workspaces_from"], workspace_id, limit)]


async def dividing_settings(tx: Connection, workspace_id: str) -> list[tuple[datetime, str, Any]]:
    """Zone and anchor of a workspace, with the times from which they hold."""
    rows = await tx.fetch(_SQL["dividing_settings"], workspace_id)
    return [(holds_from, name, msgspec.json.decode(value)) for holds_from, name, value in rows]


async def starts(tx: Connection, workspace_id: str) -> list[datetime]:
    """The starts of all cycles that any of the tables that count has rows of."""
    return [row[0] for row in await tx.fetch(_SQL["cycles"], workspace_id)]


async def figures(tx: Connection, workspace_id: str, start: datetime) -> CycleFigures:
    """What is stored of a cycle, as of one moment."""
    return CycleFigures(*await tx.fetchrow(_SQL["figures"], workspace_id, start))


async def quarters(tx: Connection, workspace_id: str, start: datetime, most: int) -> list[Difference]:
    """Quarters of an hour of mac_days that differ from the rows of contacts."""
    rows = await tx.fetch(_SQL["quarters"], workspace_id, start, most)
    return [
        Difference(workspace_id, start, "quarter", None, f"{stands} at {quarter.isoformat()}", str(should))
        for quarter, stands, should in rows
    ]


async def until(tx: Connection, workspace_id: str, first: UUID, starts: Sequence[datetime], most: int) -> UUID:
    """The last contact of a part of that many contacts, which begins at `first`."""
    last: UUID = await tx.fetchval(_SQL["until"], workspace_id, first, starts, most)
    return last


async def contacts(
    tx: Connection, workspace_id: str, starts: Sequence[datetime], first: UUID, last: UUID, most: int
) -> list[Difference]:
    """Rows of contacts that differ from their messages, and messages that count otherwise than their settings say.

    `starts`: the cycles to look at, one after the other, and where the last one ends.
    """
    rows = await tx.fetch(_SQL["contacts"], workspace_id, starts, first, last, most)
    # What lies before the first cycle and after the last one has no date.
    return [
        Difference(workspace_id, start if start.tzinfo else None, what, who, stands, should)
        for start, who, what, stands, should in rows
    ]


async def merges(tx: Connection, workspace_id: str) -> list[StoredJoining]:
    """All merges of a workspace, in the order in which they were applied."""
    return [StoredJoining(*row) for row in await tx.fetch(_SQL["merges"], workspace_id)]


async def homes(
    tx: Connection, workspace_id: str, starts: Sequence[datetime], contacts: Sequence[UUID]
) -> list[HomeInCycle]:
    """What each of these contacts comes to for itself, by cycle; see `contacts` for `starts`. `contacts`: with all that
    they were ever merged with.
    """
    rows = await tx.fetch(_SQL["homes"], workspace_id, starts, contacts)
    return [
        HomeInCycle(
            cycle_start=row["cycle_start"] if row["cycle_start"].tzinfo else None,
            status=row["status"],
            closes_at=row["closes_at"],
            contact_id=row["contact_id"],
            earliest=_evidence(row["at"], row["message_id"]),
            home_lost=row["home_lost"],
            proof=_evidence(row["first_counted_at"], row["first_message_id"]),
            adjusted=row["adjusted"],
            not_final=row["not_final"],
        )
        for row in rows
    ]


def _evidence(at: datetime | None, message_id: UUID | None) -> Evidence | None:
    return None if at is None or message_id is None else Evidence(at, message_id)


class Round(NamedTuple):
    """A verification of all workspaces. `ended_at` None: under way. `place`: JSON, how far it is."""

    began_at: datetime
    ended_at: datetime | None
    place: str


async def lock_round(tx: Connection) -> Round | None:
    """The round under way, or the last one. None: there was none."""
    row = await tx.fetchrow(_SQL["lock_round"])
    return None if row is None else Round(*row)


async def save_round(tx: Connection, current: Round) -> None:
    """Saves how far a round is."""
    await tx.execute(_SQL["save_round"], *current)


async def save_result(
    tx: Connection, workspace_id: str, at: datetime, differences: int, not_final: str | None, examples: str
) -> None:
    """Saves what verifying a workspace found. `examples`: JSON, some of the differences."""
    await tx.execute(_SQL["save_result"], workspace_id, at, differences, not_final, examples)
