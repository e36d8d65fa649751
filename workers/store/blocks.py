"""Block and unblock commands, all of them for good: a contact's history is computed from the set."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from workers.rules.blocks import BlockCommand
from workers.runtime.batch import Connection
from workers.store.arrays import columns
from workers.store.contacts import ContactKey
from workers.store.queries import load

_SQL = load("blocks")


@dataclass(frozen=True, slots=True)
class BlockRow:
    """A command with the contact it is about. `note` is what the person wrote beside it."""

    workspace_id: str
    contact_id: UUID
    command: BlockCommand
    note: str | None = None


async def find(tx: Connection, contacts: Collection[ContactKey]) -> dict[ContactKey, list[BlockCommand]]:
    """Every command ever given for these contacts, in no order. Lock the contacts in an earlier statement."""
    found: dict[ContactKey, list[BlockCommand]] = defaultdict(list)
    for workspace_id, contact_id, *command in await tx.fetch(_SQL["find"], *columns(sorted(contacts), 2)):
        found[workspace_id, contact_id].append(BlockCommand(*command))
    return found


async def add(tx: Connection, rows: Iterable[BlockRow]) -> None:
    """Keep new commands, also those that change nothing now: they may once an older one arrives."""
    ordered = sorted(rows, key=lambda r: (r.workspace_id, r.contact_id, r.command.issued_at, r.command.command_id))
    values = [(r.workspace_id, r.contact_id, *_columns(r.command), r.note) for r in ordered]
    if values:
        await tx.execute(_SQL["add"], *columns(values, 7))


def _columns(command: BlockCommand) -> tuple[datetime, bool, UUID, str]:
    return command.issued_at, command.unblocks, command.command_id, command.actor_id
