"""Content that is older than a workspace keeps it (`message_retention_days`). Rows stay without it."""

from datetime import datetime
from typing import Final

from workers.store.connection import Connection, changed_rows
from workers.store.queries import load

_SQL: Final = load("retention")

PAUSE_HOURS: Final = 6
"""Between two passes through one workspace."""

WHOLE_DAYS: Final = 7
"""After this time a pass looks at every message again."""

PEOPLE_AT_ONCE: Final = 1_000
"""Addresses that one step looks at."""


async def take_up(tx: Connection, now: datetime) -> str | None:
    """The workspace whose pass is continued, or begins now: the one that waited longest. None: no pass is due."""
    found = await tx.fetchrow(_SQL["next"], now, PAUSE_HOURS)
    if found is None:
        return None
    workspace_id, days, under_way = found
    if not under_way:
        await tx.execute(_SQL["begin"], workspace_id, days, now, WHOLE_DAYS)
    return str(workspace_id)


async def step(tx: Connection, workspace_id: str, now: datetime, limit: int) -> None:
    """Erases the content of at most `limit` messages, and after the last message of as many sends and comments."""
    until, over = await tx.fetchrow(_SQL["erase_messages"], workspace_id, limit, PEOPLE_AT_ONCE, now)
    if over:
        kinds = [await tx.execute(_SQL[name], workspace_id, until, limit) for name in ("erase_sends", "erase_comments")]
        if all(changed_rows(status) < limit for status in kinds):
            await tx.execute(_SQL["end"], workspace_id)
