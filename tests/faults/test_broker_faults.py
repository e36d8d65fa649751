"""The broker dies and comes back, or is paused and wakes up, under the whole traffic."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import pytest

from tests.faults import traffic
from tests.faults.stage import Stage
from tests.faults.world import World
from tests.support.databases import until
from tests.support.kafka import KafkaServer
from workers.errors import ExitCode
from workers.process.tasks import ended

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

_LONGER_THAN_A_REQUEST_S: Final = 12.0
_DEADLINE_S: Final = "8"  # sooner than requests in flight time out
_APPLIED: Final = "SELECT sum(next_offset) FROM sluice.partition_progress"


@pytest.mark.parametrize("workers", [2, 3])
async def test_workers_bear_a_broker_that_is_killed(
    workers: int, everything: Stage, quiet_world: World, cluster: KafkaServer
) -> None:
    async def killed(part: str) -> None:
        match part:
            case "load":
                await under_load(everything)
                await asyncio.to_thread(cluster.kill)
                await asyncio.sleep(_LONGER_THAN_A_REQUEST_S)
                await producers_rebuilt(everything)
            case "answers":
                await asyncio.to_thread(cluster.kill)
            case _:
                return
        await asyncio.to_thread(cluster.start)

    await failed_with(everything, workers, killed)
    await everything.assert_as_without_faults(quiet_world)


@pytest.mark.parametrize("workers", [2, 3])
async def test_workers_bear_a_broker_that_stands_still_and_wakes_up(
    workers: int, everything: Stage, quiet_world: World, cluster: KafkaServer
) -> None:
    """What it acknowledges then is late: it was sent again, or its producer is gone."""

    async def stopped(part: str) -> None:
        match part:
            case "load":
                await under_load(everything)
                cluster.pause()
                await producers_rebuilt(everything)
            case "answers":
                cluster.pause()
                await asyncio.sleep(_LONGER_THAN_A_REQUEST_S)
            case _:
                return
        cluster.wake()

    try:
        await failed_with(everything, workers, stopped)
    finally:
        cluster.wake()
    await everything.assert_as_without_faults(quiet_world)


async def failed_with(stage: Stage, count: int, meanwhile: Callable[[str], Awaitable[None]]) -> None:
    """The whole traffic, with so many workers, which stop at its end."""
    await stage.start_ready(count=count, FAULT_DEADLINE=_DEADLINE_S)
    async with replaced(stage):
        await traffic.play(stage.broker, stage.pool, meanwhile=meanwhile, timeout_s=240)
    await everybody_began(stage)
    # Everything may be applied while partitions still change hands: then a batch in flight is fenced.
    codes = set(await stage.stop(*(one for one in stage.started if one.code is None)))
    assert codes <= {ExitCode.CLEAN, ExitCode.FENCED}, stage.told()


async def everybody_began(stage: Stage) -> None:
    """Who replaced somebody at the very end may not have got to where it can be asked to stop."""
    async with asyncio.timeout(60):
        while any(one.code is None and not one.said("ready") for one in stage.started):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


@asynccontextmanager
async def replaced(stage: Stage) -> AsyncIterator[None]:
    """Replaces fenced workers: a broker that wakes up has assigned all partitions to other members."""
    replacing = asyncio.create_task(_replace(stage))
    try:
        yield
        assert not replacing.done(), f"{replacing.exception()!r}\n{stage.told()}"
    finally:
        await ended(replacing)


async def _replace(stage: Stage) -> None:
    seen = 0
    while True:
        over = [one for one in stage.started if one.code is not None]
        assert {one.code for one in over} <= {ExitCode.FENCED}
        for _ in over[seen:]:
            await stage.start(FAULT_DEADLINE=_DEADLINE_S)
        seen = len(over)
        await asyncio.sleep(0.2)


async def under_load(stage: Stage) -> None:
    """Waits until some of the load is applied."""
    applied = await stage.pool.fetchval(_APPLIED)
    await until(stage.pool, f"SELECT ({_APPLIED}) > $1", applied + 2_000)


async def producers_rebuilt(stage: Stage) -> None:
    """Waits until a worker has given a producer up, with a batch that the broker has not acknowledged."""
    async with asyncio.timeout(60):
        while not any(one.said("producer_rebuilt") for one in stage.started):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
