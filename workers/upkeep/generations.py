"""Generations of messages are opened as they fill up, and sealed once they are closed.

Nothing goes wrong while nobody does that: the newest generation grows, and look-ups and the WAL with it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from workers.runtime.batch import Connection, Fact
from workers.runtime.jobs import Job, Unfinished
from workers.store import generations

# By how much the primary key grows in one generation: about 500,000 messages. After each checkpoint the pages of the
# newest one's indexes go to the WAL as a whole; smaller ones are more places to look for a contact's messages in.
FULL_BYTES: Final = 24 * 1024 * 1024


async def turn(tx: Connection, _now: datetime) -> Sequence[Fact] | Unfinished:
    """Open another generation when the newest is full."""
    await generations.turn(tx, FULL_BYTES)
    return ()


async def seal(tx: Connection, _now: datetime) -> Sequence[Fact] | Unfinished:
    """Seal one closed generation."""
    return Unfinished() if await generations.seal(tx) else ()


JOBS: Final = (Job("turn generations", 5, turn), Job("seal generations", 5, seal))
