"""Conversations as commands see them, and comments."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from workers.rules.contact import ContactKey
from workers.rules.conversations import Conversation
from workers.store.arrays import columns
from workers.store.connection import Connection, changed_rows
from workers.store.queries import load as queries
from workers.store.write_stamps import columns_of, stamp_of

_SQL = queries("conversations")


class Remark(NamedTuple):
    """A comment; its id is that of the command."""

    workspace_id: str
    contact_id: UUID
    written_at: datetime
    comment_id: UUID
    author: str
    text: str


async def load(tx: Connection, keys: Collection[ContactKey]) -> dict[ContactKey, Conversation]:
    """The conversations of contacts that are locked for update."""
    rows = await tx.fetch(_SQL["load"], *columns(list(keys), 2))
    return {
        (workspace_id, contact_id): Conversation(
            opened_at,
            closed_at,
            user_opened_at,
            stamp_of(closed_at or user_opened_at, moved_by),
            stamp_of(at, by),
            until,
        )
        for workspace_id, contact_id, opened_at, closed_at, user_opened_at, moved_by, at, by, until in rows
    }


async def save(tx: Connection, changed: Mapping[ContactKey, Conversation], shown: Collection[ContactKey]) -> None:
    """Saves conversations, and raises the revision of contacts that show another status."""
    rows = [
        (
            *key,
            *(c.opened_at, c.closed_at, c.user_opened_at, c.moved and c.moved.by),
            *columns_of(c.snoozed),
            c.snoozed_until,
            key in shown,
        )
        for key, c in changed.items()
    ]
    if rows:
        await tx.execute(_SQL["save"], *columns(rows, 10))


async def end_snoozes(tx: Connection, now: datetime, limit: int) -> int:
    """Ends snoozes that are over, and marks their contacts for contacts.changes. Returns how many."""
    return changed_rows(await tx.execute(_SQL["end_snoozes"], now, limit))


async def add_comments(tx: Connection, comments: Sequence[Remark]) -> None:
    """Stores new comments."""
    if comments:
        await tx.execute(_SQL["add_comments"], *columns(comments, 6))
