"""The job that forgets commands: each is remembered for 400 days (contract 2), in the audit log as well."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from workers.records import Event
from workers.services.job_runner import Job, Unfinished
from workers.store import commands
from workers.store.connection import Connection

REMEMBERED: Final = timedelta(days=400)
_AT_ONCE: Final = 1_000


async def forget(tx: Connection, now: datetime) -> Sequence[Event] | Unfinished:
    """Deletes the oldest commands. What they led to stays: each has its own rows."""
    return Unfinished() if await commands.forget(tx, now - REMEMBERED, _AT_ONCE) == _AT_ONCE else ()


JOBS: Final = (Job("forget commands", 3600, forget),)
