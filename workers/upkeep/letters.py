"""Dead letters keep what they said as long as the topics do; then only that they were."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from workers.runtime.batch import Connection, Fact
from workers.runtime.jobs import Job, Unfinished
from workers.store import dead_letters

_KEPT_DAYS: Final = 7
_ERASED_AT_ONCE: Final = 1_000


async def erase(tx: Connection, _now: datetime) -> Sequence[Fact] | Unfinished:
    """Forget the content of old dead letters."""
    erased = await dead_letters.erase(tx, _KEPT_DAYS, _ERASED_AT_ONCE)
    return Unfinished() if erased == _ERASED_AT_ONCE else ()


JOBS: Final = (Job("erase dead letters", 600, erase),)
