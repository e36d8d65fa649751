"""What time causes: holds expire, attempts are repeated, denied claims become facts."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

from workers.outbound.expiring import expire
from workers.outbound.parking import apply_overlooked, give_up
from workers.outbound.repeating import repeat
from workers.runtime.batch import Connection, Fact, Output
from workers.runtime.effects import dead_letter
from workers.runtime.jobs import Job, Unfinished

Step = Callable[[Connection, datetime], Awaitable[list[Output]]]


def _job(name: str, every_seconds: float, step: Step) -> Job:
    async def run(tx: Connection, now: datetime) -> Sequence[Fact] | Unfinished:
        facts = [output.fact for output in await step(tx, now)]
        return Unfinished(facts) if facts else facts

    return Job(name, every_seconds, run)


async def _give_up(tx: Connection, now: datetime) -> Sequence[Fact] | Unfinished:
    letters = await give_up(tx, now)
    return Unfinished([dead_letter(letter) for letter in letters]) if letters else ()


JOBS: Final = (
    _job("expire holds", 5, expire),
    _job("repeat sends", 1, repeat),
    _job("apply parked receipts", 5, apply_overlooked),
    Job("give up parked receipts", 60, _give_up),
)
