"""Timed jobs of messages: the inbox follows, generations open and are sealed, dropped messages lose their content.

While those of generations do not run, everything stays correct: the newest generation grows, and look-ups and the WAL
with it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from workers.records import Event
from workers.services.job_runner import Job, Unfinished
from workers.store import inbox, message_generations, messages
from workers.store.connection import Connection

_ERASED_AT_ONCE: Final = 5_000
_NEWS_AT_ONCE: Final = 1_000

# Growth of the primary key in one generation: about 500,000 messages. After each checkpoint all index pages of the
# newest generation go to the WAL, so it must be small; but with smaller ones a contact's messages are in more places.
FULL_BYTES: Final = 24 * 1024 * 1024


async def open_generation(tx: Connection, _now: datetime) -> Sequence[Event] | Unfinished:
    """Opens another generation if the newest one is full."""
    await message_generations.open_next(tx, FULL_BYTES)
    return ()


async def seal(tx: Connection, _now: datetime) -> Sequence[Event] | Unfinished:
    """Seals one closed generation."""
    return Unfinished() if await message_generations.seal(tx) else ()


async def erase(tx: Connection, now: datetime) -> Sequence[Event] | Unfinished:
    """Erases the content of dropped messages whose quarantine is over."""
    erased = await messages.erase(tx, now, _ERASED_AT_ONCE)
    return Unfinished() if erased == _ERASED_AT_ONCE else []


async def refresh_inbox(tx: Connection, _now: datetime) -> Sequence[Event] | Unfinished:
    """Brings the inbox up to date with messages that were stored or revised."""
    return Unfinished() if await inbox.take_news(tx, _NEWS_AT_ONCE) else ()


JOBS: Final = (
    Job("refresh the inbox", 2, refresh_inbox),
    Job("erase quarantined content", 30, erase),
    Job("turn generations", 5, open_generation),
    Job("seal generations", 5, seal),
)
