"""The scene of a flood: worker processes as users start them, a workspace as on any day, and what holds for both.

A flood is one workspace that does too much. The other one waits for its answers no longer than it may, and the
workers keep their memory and stop when they are told. What other programs take of the machine is allowed for.
"""

import asyncio
import logging
import time
import zlib
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from asyncpg import Pool
from confluent_kafka import Producer

from tests.acceptance.making import Wire
from tests.faults.calm import NAME, Calm
from tests.faults.machine import Machine
from tests.faults.process import WorkerProcess
from tests.faults.stage import Stage
from tests.faults.traffic import INPUTS, PARTITIONS
from tests.support.brokers import Broker
from tests.support.databases import until

P99_S: Final = 4.5
LONGEST_S: Final = 5.0
MEMORY_MB: Final = 256.0
ITS_OWN: Final = range(6)
OTHERS: Final = range(6, PARTITIONS)
"""Partitions. What comes behind a backlog in its partition waits for it; everything else must not."""

_NO_STEP_IS_LEFT: Final = "SELECT NOT EXISTS (SELECT FROM sluice_core.pending_work WHERE workspace_id <> $1)"

log = logging.getLogger("floods")


@dataclass(frozen=True)
class Scene:
    """What floods are made of."""

    broker: Broker
    pool: Pool

    async def send(
        self,
        records: Iterable[Wire],
        partitions: Sequence[int] | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> None:
        """Produces everything as fast as it goes; with `partitions` to those alone, records of one key to one."""
        await asyncio.to_thread(_send, self.broker, records, partitions, headers)

    async def applied(self, timeout_s: float = 60.0) -> None:
        """Waits until all that was sent is applied, and everything that is owed for it is published."""
        await self.broker.caught_up(self.pool, *INPUTS, timeout_s=timeout_s)

    async def over(self, timeout_s: float = 60.0) -> None:
        """As `applied`, and nothing is left to be done in steps."""
        await self.applied(timeout_s)
        await until(self.pool, _NO_STEP_IS_LEFT, NAME, timeout_s=timeout_s)


@asynccontextmanager
async def flooded(
    stage: Stage,
    name: str,
    *,
    plans: Sequence[str] = ("all",),
    beside: Sequence[int] = range(PARTITIONS),
) -> AsyncIterator[Scene]:
    """The flood is what happens in the block.

    `plans` are the worker processes, `beside` the partitions that the other workspace writes to.

    Raises:
        AssertionError: a process ended, needed too much memory or did not stop, or the other workspace waited too long.
    """
    workers = [worker for plan in plans for worker in await stage.start_ready(plan)]
    calm = Calm(stage.broker, beside)
    await calm.settle()
    machine = await Machine.of(stage.pool)
    began = time.monotonic()
    async with calm.at_work():
        yield Scene(stage.broker, stage.pool)
        took = time.monotonic() - began
    waits, peaks, slower = calm.waits(), [peak_mb(worker) for worker in workers], machine.slower()
    for topic, each in waits.items():
        log.info("%s, %s: %d records, p50 %.2f s, p99 %.2f s, longest %.2f s", name, topic, *each)
    told = ", ".join(f"{peak:.0f}" for peak in peaks)
    log.info("%s: %.0f s, %s MB, %.1f times as slow as alone", name, took, told, slower)
    assert await stage.stop(*workers) == [0] * len(workers), stage.told()
    late = {topic for topic, each in waits.items() if each.p99 > P99_S * slower or each.longest > LONGEST_S * slower}
    assert not late, (waits, slower)
    assert max(peaks) < MEMORY_MB, peaks


def peak_mb(worker: WorkerProcess) -> float:
    """The most memory that the process ever had, in mebibytes."""
    assert worker.code is None, f"ended with {worker.code}\n{worker.tail()}"
    status = Path(f"/proc/{worker.pid}/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def _send(
    broker: Broker, records: Iterable[Wire], partitions: Sequence[int] | None, headers: Sequence[tuple[str, bytes]]
) -> None:
    failed: list[str] = []

    def acknowledged(error: object, _message: object) -> None:
        if error is not None:
            failed.append(str(error))

    told = {"bootstrap.servers": broker.bootstrap, "partitioner": "murmur2_random", "linger.ms": 20, "log_level": 2}
    producer = Producer(told | {"queue.buffering.max.messages": 1_000_000})
    for topic, key, value in records:
        partition = -1 if partitions is None else partitions[zlib.crc32(key) % len(partitions)]
        producer.produce(
            broker.topic_prefix + topic, value, key, partition, on_delivery=acknowledged, headers=list(headers)
        )
        producer.poll(0)
    assert producer.flush(60) == 0
    assert not failed, failed[0]
