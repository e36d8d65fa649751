"""What one must know to release the dropped messages of a contact."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from workers.process.queries import statements

_SQL: Final = statements("console", "releases")


class Dropped(NamedTuple):
    """The dropped messages of a contact, how many and from when to when; since when it is blocked, if it is; and the
    release that is under way: `done` of `total`.
    """

    messages: int
    first_at: datetime | None
    last_at: datetime | None
    blocked_at: datetime | None
    under_way: Mapping[str, Any] | None

    @property
    def until(self) -> datetime | None:
        """A whole second behind the last message: a range of time that has them all ends there."""
        return None if self.last_at is None else self.last_at.replace(microsecond=0) + timedelta(seconds=1)


async def dropped(connection: Any, workspace_id: str, contact_id: UUID) -> Dropped:
    """The dropped messages of a contact, as a whole."""
    span = await connection.fetchrow(_SQL["dropped_span"], workspace_id, contact_id)
    blocked_at = await connection.fetchval(_SQL["blocked_since"], workspace_id, contact_id)
    work = await connection.fetchrow(_SQL["under_way"], workspace_id, contact_id)
    return Dropped(
        span["messages"], span["first_at"], span["last_at"], blocked_at, None if work is None else dict(work)
    )
