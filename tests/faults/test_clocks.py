"""Clocks jump forwards and backwards while the whole traffic is applied: nothing is lost, doubled, or expires early."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path

import pytest

from tests.faults import clocks, oracle, traffic
from tests.faults.process import WorkerProcess
from tests.faults.stage import Stage
from tests.faults.world import World, assert_same, world

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]


async def test_wall_clocks_that_jump_change_nothing(everything: Stage, quiet_world: World, tmp_path: Path) -> None:
    """Python's clock in one worker; in the other one that of the whole process, where libfaketime is installed."""
    clock = tmp_path / "clock"
    bent = _bent(clock)
    everything.environment["FAULT_HURRY"] = "1"  # what may expire is looked after all the time
    one = await everything.start(FAULT_CLOCK="wall")
    other = await everything.start(fault=None, **bent)
    for worker in (one, other):
        await worker.has_logged("ready")
    async with _jumping(clock):
        await traffic.play(everything.broker, everything.pool)
        assert await everything.stop() == [0, 0], everything.told()
    if "LD_PRELOAD" in bent:
        assert _ahead(other) > timedelta(days=1)
    await everything.assert_as_without_faults(quiet_world)


async def test_a_database_clock_that_jumps_loses_nothing_and_doubles_nothing(
    everything: Stage, quiet_world: World
) -> None:
    await everything.start_ready(count=2, FAULT_CLOCK="database")
    await traffic.play(everything.broker, everything.pool)
    assert await everything.stop() == [0, 0], everything.told()
    await oracle.assert_compacted(everything.pool, everything.broker)
    await oracle.assert_delivered(everything.pool, everything.broker, traffic.INPUTS)
    # Which cycles are over is what the database's clock is there for.
    expected = {view: rows for view, rows in quiet_world.items() if view != "mac_counts"}
    assert_same(await world(everything.pool), expected)


def _bent(clock: Path) -> dict[str, str]:
    """The environment of a worker whose clock is what the file says: two days ahead, to begin with."""
    library = clocks.libfaketime()
    if library is None:
        return {"FAULT_CLOCK": "wall"}
    _set(clock, "+2d")
    return clocks.preloaded(library, clock)


@asynccontextmanager
async def _jumping(clock: Path) -> AsyncIterator[None]:
    """It jumps as long as the block lasts."""
    jumping = asyncio.create_task(_jump(clock))
    try:
        yield
    finally:
        jumping.cancel()


async def _jump(clock: Path) -> None:
    for jump in cycle(clocks.JUMPS_S):
        await asyncio.sleep(1.1)
        _set(clock, f"{jump:+}")


def _set(clock: Path, jump: str) -> None:
    part = clock.with_name("next")
    part.write_text(jump)
    part.replace(clock)


def _ahead(worker: WorkerProcess) -> timedelta:
    """How far ahead the clock of a worker was when it began."""
    return datetime.fromisoformat(worker.logged()[0]["timestamp"]) - datetime.now(UTC)
