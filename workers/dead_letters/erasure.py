"""The job that erases the content of dead letters after the retention time of the topics, and much later the rows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from workers.records import Event
from workers.services.job_runner import Job, Unfinished
from workers.store import dead_letters
from workers.store.connection import Connection

_KEPT_DAYS: Final = 7
_IN_TOPICS_DAYS: Final = 7
_ROWS_KEPT_DAYS: Final = 400  # as the audit log
_AT_ONCE: Final = 1_000


async def erase(tx: Connection, _now: datetime) -> Sequence[Event] | Unfinished:
    """Erases the content of old dead letters. Later, when no topic can hold an earlier replay any more, deletes the
    digests, and in the end the rows.
    """
    steps = (
        await dead_letters.erase(tx, _KEPT_DAYS, _AT_ONCE),
        await dead_letters.forget(tx, _IN_TOPICS_DAYS, _AT_ONCE),
        await dead_letters.remove(tx, _ROWS_KEPT_DAYS, _AT_ONCE),
    )
    return Unfinished() if _AT_ONCE in steps else ()


JOBS: Final = (Job("erase dead letters", 600, erase),)
