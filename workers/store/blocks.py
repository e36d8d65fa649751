"""Block and unblock commands. All are kept: a contact's block history follows from the set.

The contact's row holds the newest intervals. Code that judges by an older time reads the intervals there from the
commands. The few commands around a new command decide what it changes. So the cost does not grow with the history.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from msgspec import structs

from workers.rules.blocks import BlockCommand, Interval
from workers.rules.contact import Contact, ContactKey
from workers.store.arrays import columns
from workers.store.connection import Connection
from workers.store.queries import load

_SQL = load("blocks")
_FIRST_ID: Final = UUID(int=0)
_LAST_ID: Final = UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True)
class BlockRow:
    """A command with its contact. `note` is the user's note, `recorded_at` the watermark of the command's record."""

    workspace_id: str
    contact_id: UUID
    command: BlockCommand
    note: str | None = None
    recorded_at: datetime | None = None


async def around(tx: Connection, new: Iterable[BlockRow]) -> dict[ContactKey, list[BlockCommand]]:
    """The stored commands that decide what new ones change, in no order. Lock the contacts in an earlier statement.

    In the history of these commands alone, all intervals that begin or end at one of the new commands, or contain one,
    are as in the whole history, before and after the change. It has no other intervals except neighbours of these.
    """
    rows = sorted((r.workspace_id, r.contact_id, *_columns(r.command)[:3]) for r in new)
    found: dict[ContactKey, list[BlockCommand]] = defaultdict(list)
    for workspace_id, contact_id, *command in await tx.fetch(
        _SQL["neighbours"], *columns(rows, 5), _LAST_ID, _FIRST_ID
    ):
        found[workspace_id, contact_id].append(BlockCommand(*command))
    return found


async def add(tx: Connection, rows: Iterable[BlockRow]) -> None:
    """Stores new commands, also those that change nothing now: they may once an older one arrives."""
    if values := [(r.workspace_id, r.contact_id, *_columns(r.command), r.note, r.recorded_at) for r in rows]:
        await tx.execute(_SQL["add"], *columns(values, 8))


class Apart(NamedTuple):
    """Unblocks after a time: when the contact had its own, and the first that only the other contact has."""

    own: Sequence[datetime]
    theirs: BlockCommand | None


async def apart(
    tx: Connection, asked: Collection[tuple[ContactKey, UUID, datetime]]
) -> dict[tuple[ContactKey, datetime], Apart]:
    """The unblocks after a time that one of two contacts has and the other one has not."""
    rows = [(*key, other, at) for key, other, at in sorted(asked)]
    found: dict[tuple[ContactKey, datetime], Apart] = {}
    for w, contact_id, at, own, issued_at, *by in await tx.fetch(_SQL["apart"], *columns(rows, 4)):
        theirs = None if issued_at is None else BlockCommand(issued_at, True, *by)  # noqa: FBT003 - it unblocks
        found[(w, contact_id), at] = Apart(own or (), theirs)
    return found


async def reaching(
    tx: Connection, found: Mapping[ContactKey, Contact], moments: Iterable[tuple[ContactKey, datetime]]
) -> dict[ContactKey, Contact]:
    """`found`, each with the intervals at these times as well, and with the first one that begins after each.

    Their histories must not change until the transaction ends: call it in a statement after the one that locked them.
    """
    partly = any(contact.known_since is not None for contact in found.values())
    older = {(*key, at) for key, at in moments if _is_older(found.get(key), at)} if partly else ()
    if not older:
        return dict(found)
    known = {key: {i.start: i for i in found[key].intervals} for key in {(w, c) for w, c, _ in older}}
    for workspace_id, contact_id, start, end in await tx.fetch(_SQL["at_times"], *columns(sorted(older), 3)):
        known[workspace_id, contact_id].setdefault(start, Interval(start, end))
    complete = {key: tuple(intervals[start] for start in sorted(intervals)) for key, intervals in known.items()}
    return dict(found) | {key: structs.replace(found[key], intervals=intervals) for key, intervals in complete.items()}


def _is_older(contact: Contact | None, at: datetime) -> bool:
    return contact is not None and contact.known_since is not None and at < contact.known_since


def _columns(command: BlockCommand) -> tuple[datetime, bool, UUID, str]:
    return command.issued_at, command.unblocks, command.command_id, command.actor_id
