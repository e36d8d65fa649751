"""A contact as the rules see it."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from workers.rules.blocks import Interval
from workers.rules.conversations import Status, last_closing, status


class Contact(Struct, frozen=True, gc=False):
    """State under the row's lock.

    `opened_at` is the time of an event that opened the conversation, `closed_at` of the last closing by a person;
    blocks close it as well.
    """

    workspace_id: str
    contact_id: UUID
    conversation_id: UUID
    profile_id: str | None = None
    profile_at: datetime | None = None
    intervals: tuple[Interval, ...] = ()
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    display_name: str | None = None
    language: str | None = None
    avatar_url: str | None = None
    phone: str | None = None
    email: str | None = None

    @property
    def blocked(self) -> bool:
        return bool(self.intervals) and self.intervals[-1].end is None

    @property
    def last_closing(self) -> datetime | None:
        return last_closing(self.closed_at, self.intervals)

    @property
    def conversation_status(self) -> Status:
        if self.opened_at is not None and self.closed_at is None and not self.intervals:
            return "open"  # nothing ever closed it, and so it is with most: they are asked at every message
        return status(blocked=self.blocked, opened_at=self.opened_at, closed_at=self.last_closing)
