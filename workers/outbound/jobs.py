"""What time causes: holds expire, attempts are repeated, denied claims become facts."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

from workers.outbound.expiring import expire
from workers.outbound.parking import apply_overlooked
from workers.outbound.repeating import repeat
from workers.runtime.batch import Connection, Fact, Output
from workers.runtime.jobs import Job, Unfinished

Step = Callable[[Connection, datetime], Awaitable[list[Output]]]


def _job(name: str, every_seconds: float, step: Step) -> Job:
    async def run(tx: Connection, now: datetime) -> Sequence[Fact] | Unfinished:
        facts = [_fact(output) for output in await step(tx, now)]
        return Unfinished(facts) if facts else facts

    return Job(name, every_seconds, run)


def _fact(output: Output) -> Fact:
    return Fact(
        topic=output.topic,
        key=output.key,
        value=output.value,
        ce_id=output.ce_id,
        workspace_id=output.workspace_id,
        time=output.time,
        traceparent=output.traceparent,
    )


JOBS: Final = (
    _job("expire holds", 5, expire),
    _job("repeat sends", 1, repeat),
    _job("apply parked receipts", 5, apply_overlooked),
)
