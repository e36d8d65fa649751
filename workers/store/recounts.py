"""Recounts a workspace: its messages contact by contact, their proofs, and cycles that no longer exist."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from msgspec import Struct

from workers.rules.cycles import Cycle
from workers.store.arrays import columns
from workers.store.connection import Connection
from workers.store.queries import load

_SQL: Final = load("recounts")


class RecountPosition(NamedTuple):
    """How far a workspace is recounted: all contacts before this one, and its messages up to this one."""

    contact_id: UUID
    event_time: datetime
    message_id: UUID


class RecountedMessage(Struct, frozen=True, gc=False):
    """The fields of a stored message that decide whether it counts, and whether it does. `recorded_at` decides whether
    it is late for its cycle.
    """

    contact_id: UUID
    generation: int
    message_id: UUID
    kind: str
    channel_id: str
    event_time: datetime
    dropped: bool
    block_start: datetime | None
    counted: bool
    mac_rule: str | None
    recorded_at: datetime | None

    @property
    def place(self) -> RecountPosition:
        return RecountPosition(self.contact_id, self.event_time, self.message_id)


async def contacts_from(tx: Connection, workspace_id: str, first: UUID, limit: int) -> list[UUID]:
    """Contacts in the order of their ids, from this one on."""
    return [contact_id for (contact_id,) in await tx.fetch(_SQL["contacts_from"], workspace_id, first, limit)]


async def number_of_contacts(tx: Connection, workspace_id: str) -> int:
    return int(await tx.fetchval(_SQL["number_of_contacts"], workspace_id))


async def messages(
    tx: Connection, workspace_id: str, contacts: Sequence[UUID], since: datetime, after: RecountPosition, limit: int
) -> list[RecountedMessage]:
    """Messages of these contacts, which come in order, since that time, contact by contact, oldest first: at most
    `limit`, and only after that position.
    """
    found = await tx.fetch(_SQL["messages"], workspace_id, contacts, contacts[0], contacts[-1], since, *after, limit)
    return [RecountedMessage(*row) for row in found]


async def save(tx: Connection, workspace_id: str, counted: Iterable[tuple[int, UUID, bool, str | None]]) -> None:
    """Saves by generation and id whether messages count now, and by which rule if they are dropped."""
    if rows := list(counted):
        await tx.execute(_SQL["save_counted"], workspace_id, *columns(rows, 4))


async def cycles_since(tx: Connection, workspace_id: str, since: datetime) -> list[Cycle]:
    """Cycles that have a row and end after that time, by their start. Old and new ones may overlap."""
    return [Cycle(*row) for row in await tx.fetch(_SQL["cycles_since"], workspace_id, since)]


async def move_ends(tx: Connection, workspace_id: str, ends: Mapping[datetime, datetime]) -> None:
    """Saves new ends of cycles, by their start."""
    if ends:
        await tx.execute(_SQL["move_ends"], workspace_id, list(ends), list(ends.values()))


async def unsettle(tx: Connection, workspace_id: str, changed: Collection[tuple[datetime, UUID]]) -> None:
    """Has contacts, in the cycles that start then, counted again before those close, if facts about them are late."""
    if changed:
        await tx.execute(_SQL["unsettle"], workspace_id, *columns(list(changed), 2))


async def remove_cycles(tx: Connection, workspace_id: str, starts: Collection[datetime]) -> None:
    """Deletes the cycles among these that have no active contact."""
    if starts:
        await tx.execute(_SQL["remove_cycles"], workspace_id, sorted(starts))


async def forget_where_cycles_are(tx: Connection, workspace_id: str) -> None:
    """Clears the note that every cycle since the first message has a row, so that missing ones are inserted."""
    await tx.execute(_SQL["reset_cycles_from"], workspace_id)
