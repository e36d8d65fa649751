"""The engine keeps its promises in every schedule of a fixed range of seeds; `make simulate` explores others."""

import asyncio
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from tests.simulation.eventloop import Standstill, VirtualLoop
from tests.simulation.schedule import run, trace
from tests.simulation.world import BLOWS, POINTS, RARE

ROOT: Final = Path(__file__).resolve().parents[2]
SEEDS: Final = range(1, 501)
LINES_SHOWN: Final = 60

TROUBLES: Final = (
    "a holder is ended",
    "arrives late: release",
    "COMMIT arrives late",
    "conflict",
    "connection lost",
    "fenced",
    "not acknowledged, and not appended",
    "not acknowledged, but appended",
    "offsets not committed",
    "offsets that no consumer is given",
    "partitions change lanes",
    "thrown out of the group",
    "waits for a row",
)
ENDINGS: Final = ("ExitCode CLEAN", "ExitCode FENCED", "ExitCode STOPPED_THE_LINE")


@pytest.fixture(scope="module")
def seen() -> Counter[str]:
    """All faults of all schedules, in each of which every law held."""
    faults: Counter[str] = Counter()
    for seed in SEEDS:
        outcome = run(seed)
        if outcome.broken is not None:
            end = "\n".join(outcome.trace.splitlines()[-LINES_SHOWN:])
            pytest.fail(
                f"{end}\n{outcome.broken}\nfor all of it: python -m tests.simulation --only {seed} --trace",
                pytrace=False,
            )
        faults += outcome.seen
    return faults


@pytest.mark.parametrize("blow", BLOWS)
def test_the_laws_hold_whatever_befalls_the_world(seen: Counter[str], blow: str) -> None:
    assert seen[blow]


@pytest.mark.parametrize("point", POINTS)
def test_the_laws_hold_when_a_worker_dies(seen: Counter[str], point: str) -> None:
    assert seen[f"is killed: {point}"] + seen[f"is lost with its machine: {point}"]


@pytest.mark.parametrize("point", [point for point in POINTS if point not in RARE])
def test_the_laws_hold_when_a_worker_pauses_and_goes_on(seen: Counter[str], point: str) -> None:
    assert seen[f"pauses: {point}"]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_the_laws_hold_in_trouble(seen: Counter[str], trouble: str) -> None:
    assert seen[trouble]


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_laws_hold_however_a_worker_ends(seen: Counter[str], ending: str) -> None:
    assert seen[f"ends: {ending}"]


def test_a_seed_tells_the_same_story_every_time() -> None:
    stories = [trace(seed).trace for seed in range(20)]

    assert [trace(seed).trace for seed in range(20)] == stories
    assert len(set(stories)) == len(stories)


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_a_seed_tells_the_same_story_in_another_process(hash_seed: str) -> None:
    here = trace(7)

    there = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--only", "7", "--trace"],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert there.stdout.splitlines()[:-1] == here.trace.splitlines()


def test_time_passes_without_anybody_waiting() -> None:
    loop = VirtualLoop()

    async def a_day() -> float:
        await asyncio.gather(*(asyncio.sleep(hours * 3600) for hours in range(24)))
        return asyncio.get_running_loop().time()

    assert loop.run_until_complete(a_day()) == 23 * 3600
    loop.close()


def test_a_world_in_which_nothing_can_happen_any_more_is_noticed() -> None:
    loop = VirtualLoop()
    waiting = loop.create_future()

    with pytest.raises(Standstill):
        loop.run_until_complete(waiting)
    loop.close()
