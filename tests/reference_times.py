"""Part of the reference model: when things happened, and when a contact was blocked."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from tests.facts import Block, Command, Message


class Interval(NamedTuple):
    start: datetime
    end: datetime | None
    actor: str


def event_time(message: Message) -> datetime:
    received = _not_ahead(message.received_at, message.logged_at)
    sent = message.sent_at
    return received if sent is None or sent > received or received - sent > timedelta(days=7) else sent


def issued(command: Block | Command) -> datetime:
    return _not_ahead(command.issued_at, command.logged_at)


def stamp(command: Command) -> tuple[datetime, UUID]:
    """Of two writes to one value the one with the larger stamp wins."""
    return issued(command), command.command_id


def intervals(commands: Iterable[Block]) -> list[Interval]:
    """Half-open intervals, oldest first. Of equal times the unblock acts first, then the smaller command_id."""
    found: list[Interval] = []
    for c in sorted(commands, key=lambda c: (issued(c), not c.unblocks, c.command_id)):
        is_blocked = bool(found) and found[-1].end is None
        if c.unblocks and is_blocked:
            found[-1] = found[-1]._replace(end=issued(c))
        elif not c.unblocks and not is_blocked:
            found.append(Interval(issued(c), None, c.actor))
    return found


def inside(history: Sequence[Interval], at: datetime) -> Interval | None:
    return next((i for i in history if i.start <= at and (i.end is None or at < i.end)), None)


def _not_ahead(claimed: datetime, logged_at: datetime) -> datetime:
    return logged_at if claimed - logged_at > timedelta(minutes=5) else claimed
