"""SIGKILL at any time, under the whole load."""

import asyncio
import random
import signal
from typing import Final

import pytest

from tests.faults import traffic
from tests.faults.stage import Stage
from tests.faults.world import World
from tests.support.databases import until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

KILLS: Final = 4
APPLIED: Final = "SELECT sum(next_offset)::bigint FROM sluice_core.progress"


@pytest.mark.parametrize(("count", "seed"), [(2, 1), (3, 2)])
async def test_workers_killed_at_random_times_under_load_are_not_noticed(
    everything: Stage, quiet_world: World, count: int, seed: int
) -> None:
    dice = random.Random(seed)  # noqa: S311 - nothing secret
    workers = [await everything.fork() for _ in range(count)]
    for worker in workers:
        await worker.has_logged("ready")

    async def kill(part: str) -> None:
        if part != "load":
            return
        begun = await everything.pool.fetchval(APPLIED)
        left = sum([sum((await everything.broker.ends(topic)).values()) for topic in traffic.INPUTS]) - begun
        for share in sorted(dice.uniform(0.0, 0.9) for _ in range(KILLS)):
            await until(everything.pool, f"SELECT ({APPLIED}) >= $1", begun + int(share * left), timeout_s=90)
            # Anywhere in what a worker does, not only where something was just committed.
            await asyncio.sleep(dice.uniform(0.0, 0.5))
            victim = workers.pop(dice.randrange(count))
            victim.send(signal.SIGKILL)
            assert await victim.ended() == -signal.SIGKILL
            workers.append(await everything.fork())

    await traffic.play(everything.broker, everything.pool, meanwhile=kill, timeout_s=200)
    assert await everything.stop(*workers) == [0] * count, everything.told()
    await everything.assert_as_without_faults(quiet_world)
