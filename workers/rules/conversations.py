"""Whether a conversation is open: a function of messages, commands and blocks by their times (contract 3.2, 3.5).

The same in SQL is `conversation_status`; `tests/store/test_one_rule.py` compares.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Literal

from msgspec import Struct, structs

from workers.rules.blocks import Interval, blocked_now, covering
from workers.rules.last_write_wins import WriteStamp
from workers.rules.results import Done, Refused, Result

Status = Literal["open", "closed", "snoozed", "blocked"]
BEFORE_ALL: Final = datetime.min.replace(tzinfo=UTC)
_BLOCKED: Final = Refused("contact_blocked", "the contact is blocked: give `unblock_contact` first")
_PAST: Final = Refused("invalid", "`until`: expected a time after `issued_at`")
_NOT_OPEN: Final = Refused("invalid", "the conversation is closed: only an open one can be snoozed")


class Conversation(Struct, frozen=True, gc=False):
    """What decides about the status of a conversation, besides the contact's blocks.

    `opened_at`: event time of the message that opened it last. Of the commands that open and close only the latest
    counts: it was `moved`, and set one of `closed_at` and `user_opened_at`. A snooze that a later one of them ended is
    forgotten. `snoozed_until` is None once it is over by the clock.
    """

    opened_at: datetime | None = None
    closed_at: datetime | None = None
    user_opened_at: datetime | None = None
    moved: WriteStamp | None = None
    snoozed: WriteStamp | None = None
    snoozed_until: datetime | None = None


def opens(kind: str, event_time: datetime, closed_at: datetime | None) -> bool:
    """Only a contact's message opens a conversation, and only one after the closing; reactions, echoes and sends do
    not.
    """
    return kind == "message" and (closed_at is None or event_time > closed_at)


def last_closing(closed_at: datetime | None, intervals: Sequence[Interval]) -> datetime | None:
    """The latest closing: by a user, or by a block, which closes before it blocks."""
    if not intervals:
        return closed_at
    last_block = intervals[-1].start
    return last_block if closed_at is None else max(closed_at, last_block)


def opened_last(opened_at: datetime | None, intervals: Sequence[Interval], witness: datetime | None) -> datetime | None:
    """The opening by the present history: the newest accepted message's, or the one known before.

    A message inside a block opened nothing.
    """
    if opened_at is not None and covering(intervals, opened_at) is not None:
        opened_at = None
    return max((at for at in (opened_at, witness) if at is not None), default=None)


def is_open(
    opened_at: datetime | None,
    closed_at: datetime | None,
    user_opened_at: datetime | None,
    intervals: Sequence[Interval],
) -> bool:
    """Whether a message or a user opened it after the last closing. Users open nothing inside a block."""
    if opened_at is not None:
        closing = last_closing(closed_at, intervals)
        if closing is None or opened_at > closing:
            return True
    return user_opened_at is not None and _after_blocks(user_opened_at, intervals)


def is_snoozed(opened_at: datetime | None, snoozed_at: datetime | None, intervals: Sequence[Interval]) -> bool:
    """Whether nothing but the clock or a later command can have ended a snooze: no message after it and no block."""
    if snoozed_at is None or (opened_at is not None and opened_at > snoozed_at):
        return False
    return _after_blocks(snoozed_at, intervals)


def status(conversation: Conversation, intervals: Sequence[Interval], now: datetime) -> Status:
    """The status that views show at `now`."""
    c = conversation
    if blocked_now(intervals) is not None:
        return "blocked"
    if not is_open(c.opened_at, c.closed_at, c.user_opened_at, intervals):
        return "closed"
    if c.snoozed is None or c.snoozed_until is None or c.snoozed_until <= now:
        return "open"
    return "snoozed" if is_snoozed(c.opened_at, c.snoozed.at, intervals) else "open"


def move(
    conversation: Conversation, stamp: WriteStamp, intervals: Sequence[Interval], now: datetime, *, opens: bool
) -> tuple[Result, Conversation]:
    """Opens or closes it. A command inside a block is refused, also after the block."""
    if _refused(stamp, intervals):
        return _BLOCKED, conversation
    if not stamp.beats(conversation.moved):
        return Done(), conversation
    ended = conversation.snoozed is not None and stamp > conversation.snoozed
    after = Conversation(
        opened_at=conversation.opened_at,
        closed_at=None if opens else stamp.at,
        user_opened_at=stamp.at if opens else None,
        moved=stamp,
        snoozed=None if ended else conversation.snoozed,
        snoozed_until=None if ended else conversation.snoozed_until,
    )
    return _done(conversation, after, intervals, now), after


def snooze(
    conversation: Conversation, stamp: WriteStamp, until: datetime, intervals: Sequence[Interval], now: datetime
) -> tuple[Result, Conversation]:
    """Snoozes it if it is open, or was snoozed already."""
    if _refused(stamp, intervals):
        return _BLOCKED, conversation
    if until <= stamp.at:
        return _PAST, conversation
    if status(conversation, intervals, now) == "closed":
        return _NOT_OPEN, conversation
    if not (stamp.beats(conversation.snoozed) and stamp.beats(conversation.moved)):
        return Done(), conversation
    after = structs.replace(conversation, snoozed=stamp, snoozed_until=until)
    if status(after, intervals, now) != "snoozed":
        return _done(conversation, after, intervals, now), after
    same = conversation.snoozed_until == until and status(conversation, intervals, now) == "snoozed"
    return Done({} if same else {"conversation_status": "snoozed", "snoozed_until": until}), after


def _refused(stamp: WriteStamp, intervals: Sequence[Interval]) -> bool:
    return blocked_now(intervals) is not None or covering(intervals, stamp.at) is not None


def _done(before: Conversation, after: Conversation, intervals: Sequence[Interval], now: datetime) -> Done:
    was, is_now = status(before, intervals, now), status(after, intervals, now)
    return Done({"conversation_status": is_now} if was != is_now else {})


def _after_blocks(at: datetime, intervals: Sequence[Interval]) -> bool:
    if not intervals:
        return True
    end = intervals[-1].end
    return end is not None and at >= end
