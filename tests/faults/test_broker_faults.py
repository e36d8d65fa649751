"""The broker dies and comes back, or stands still and wakes up, under the whole traffic."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.faults import traffic
from tests.faults.process import WorkerProcess
from tests.faults.stage import Stage
from tests.faults.world import World
from tests.support.databases import until
from tests.support.kafka import KafkaServer

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

_LONGER_THAN_A_REQUEST_S = 12.0
_DEADLINE = "8"  # sooner than its requests in flight time out
_HALF_WAY = "SELECT sum(next_offset) > $1 FROM sluice.partition_progress"


async def test_two_workers_bear_a_broker_that_is_killed(
    everything: Stage, quiet_world: World, cluster: KafkaServer
) -> None:
    workers = await everything.start_ready(count=2, FAULT_DEADLINE=_DEADLINE)

    async def killed(part: str) -> None:
        match part:
            case "load":
                await under_load(everything)
                await asyncio.to_thread(cluster.kill)
                await asyncio.sleep(_LONGER_THAN_A_REQUEST_S)
                await producers_rebuilt(workers)
            case "answers":
                await asyncio.to_thread(cluster.kill)
            case _:
                return
        await asyncio.to_thread(cluster.start)

    await traffic.play(everything.broker, everything.pool, meanwhile=killed, timeout_s=240)
    assert await everything.stop(*workers) == [0, 0], everything.told()
    await everything.assert_as_without_faults(quiet_world)


async def test_three_workers_bear_a_broker_that_stands_still_and_wakes_up(
    everything: Stage, quiet_world: World, cluster: KafkaServer
) -> None:
    """What it acknowledges then is late: it was sent again, or its producer is gone."""
    workers = await everything.start_ready(count=3, FAULT_DEADLINE=_DEADLINE)

    async def stopped(part: str) -> None:
        match part:
            case "load":
                await under_load(everything)
                cluster.pause()
                await producers_rebuilt(workers)
            case "answers":
                cluster.pause()
                await asyncio.sleep(_LONGER_THAN_A_REQUEST_S)
            case _:
                return
        cluster.wake()

    try:
        await traffic.play(everything.broker, everything.pool, meanwhile=stopped, timeout_s=240)
    finally:
        cluster.wake()
    assert await everything.stop(*workers) == [0, 0, 0], everything.told()
    await everything.assert_as_without_faults(quiet_world)


async def under_load(stage: Stage) -> None:
    """Waits until some of the load is applied."""
    applied = await stage.pool.fetchval("SELECT sum(next_offset) FROM sluice.partition_progress")
    await until(stage.pool, _HALF_WAY, applied + 2_000)


async def producers_rebuilt(workers: Sequence[WorkerProcess]) -> None:
    """Waits until a worker has given a producer up, with a batch that the broker has not acknowledged."""
    waiting = [asyncio.create_task(worker.has_logged("producer_rebuilt")) for worker in workers]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        assert any(task.done() and not task.exception() for task in waiting)
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
