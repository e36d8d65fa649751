"""A write stamp is two columns of a row, both null if nothing was written."""

from datetime import datetime
from uuid import UUID

from workers.rules.last_write_wins import WriteStamp


def stamp_of(at: datetime | None, by: UUID | None) -> WriteStamp | None:
    """A write stamp from its two columns."""
    return WriteStamp(at, by) if at is not None and by is not None else None


def columns_of(stamp: WriteStamp | None) -> tuple[datetime | None, UUID | None]:
    """The two columns of a write stamp."""
    return (stamp.at, stamp.by) if stamp is not None else (None, None)
