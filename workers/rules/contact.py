"""The data of a contact that the rules read."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from workers.rules.blocks import Interval
from workers.rules.conversations import BEFORE_ALL, is_open, is_snoozed, last_closing

ContactKey = tuple[str, UUID]
"""(workspace_id, contact_id)."""


class Contact(Struct, frozen=True, gc=False):
    """The state of a contact, read while its row is locked.

    `opened_at` is the event time of the message that opened the conversation last. `closed_at` or `user_opened_at` is
    the time of the last command that closed or opened it. A block closes the conversation as well and leaves them as
    they are. `snoozed_at` is set while neither time nor such a command has ended a snooze. `intervals` are all block
    intervals if `known_since` is None. Otherwise older ones, which ended before it, may be missing:
    `workers.store.blocks.reaching` loads them. The newest one is always there. `merged_into`: the contact that it is
    now.
    """

    workspace_id: str
    contact_id: UUID
    conversation_id: UUID
    profile_id: str | None = None
    profile_at: datetime | None = None
    intervals: tuple[Interval, ...] = ()
    known_since: datetime | None = None
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    user_opened_at: datetime | None = None
    snoozed_at: datetime | None = None
    display_name: str | None = None
    language: str | None = None
    avatar_url: str | None = None
    merged_into: UUID | None = None
    phone: str | None = None
    email: str | None = None

    @property
    def key(self) -> ContactKey:
        return self.workspace_id, self.contact_id

    @property
    def blocked(self) -> bool:
        return bool(self.intervals) and self.intervals[-1].end is None

    @property
    def last_closing(self) -> datetime | None:
        return last_closing(self.closed_at, self.intervals)

    @property
    def awaits_message_after(self) -> datetime | None:
        """The time after which a message opens the conversation or ends its snooze; None: no message changes it."""
        if self.opened_at is not None and self.closed_at is None and self.snoozed_at is None and not self.intervals:
            return None  # nothing ever closed it: true of most contacts, and this runs for every message
        if not is_open(self.opened_at, self.closed_at, self.user_opened_at, self.intervals):
            return self.last_closing or BEFORE_ALL
        return self.snoozed_at if is_snoozed(self.opened_at, self.snoozed_at, self.intervals) else None
