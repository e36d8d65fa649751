"""What messages need in the background: the rest of large revisions, and the end of quarantines."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from workers.inbound import revising
from workers.runtime.batch import Connection, Fact, Source
from workers.runtime.jobs import Job, Unfinished
from workers.store import messages

_ERASED_AT_ONCE: Final = 5_000
_NOWHERE: Final = Source("upkeep", 0)  # no input record causes these facts


async def revise(tx: Connection, now: datetime) -> Sequence[Fact] | Unfinished:
    """One more step of a revision that was too large for the transaction of its command."""
    outputs = await revising.go_on(tx, now, _NOWHERE)
    return Unfinished([output.fact for output in outputs]) if outputs else []


async def erase(tx: Connection, now: datetime) -> Sequence[Fact] | Unfinished:
    """Forget the content of dropped messages whose quarantine is over."""
    erased = await messages.erase(tx, now, _ERASED_AT_ONCE)
    return Unfinished() if erased == _ERASED_AT_ONCE else []


JOBS: Final = (Job("revise messages", 1, revise), Job("erase quarantined content", 30, erase))
