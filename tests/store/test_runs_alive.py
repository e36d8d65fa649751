"""The runs of a contact that were alive during a time: SQL finds by durations those that the rule says."""

from datetime import datetime, timedelta
from itertools import product

import pytest
from asyncpg import Pool

from tests.store.worlds import NOW
from tests.workers.records import WORKSPACE, uuid_of
from workers.rules.workflows import RUNNING, Run, RunVerdict
from workers.store import workflows
from workers.store.workflows import RunPlace

CONTACT = (WORKSPACE, uuid_of("ana"))
BOUNDS = [timedelta(seconds=s) for s in (0, 1, 10, 100, 1_200, 10_800, 86_400, 864_000, 8_640_000, 86_400_000)]
AROUND = [bound + timedelta(microseconds=n) for bound in BOUNDS for n in (-1, 0, 1)]
"""Durations on both sides of what separates the classes; one is negative: the finish is before the start."""


@pytest.mark.parametrize("length", [timedelta(0), timedelta(minutes=1), timedelta(days=2), timedelta(days=900), None])
async def test_the_runs_that_were_alive(pool: Pool, length: timedelta | None) -> None:
    begin, until = NOW, NOW + length if length is not None else None
    starts = {anchor + sign * by for anchor, sign, by in product((begin, until or begin), (-1, 1), AROUND)}
    lives = product(sorted(starts), [None, *AROUND])
    runs = [_run(f"r{number}", start, lasted) for number, (start, lasted) in enumerate(lives)]
    alive = sorted((run for run in runs if _alive(run, begin, until)), key=_place)
    async with pool.acquire() as tx, tx.transaction():
        await workflows.add(tx, runs)
        found = await workflows.of_contacts(tx, {CONTACT: (begin, until)}, len(runs))
        assert found[CONTACT] == [run.key for run in alive]
        paged, place = [], RunPlace(running=False, at=begin, run_id="")
        while page := await workflows.of_contact(tx, CONTACT, place, until, 100):
            place = page[-1][1]
            paged += [key for key, _ in page]
        assert paged == found[CONTACT]


def _run(name: str, start: datetime, lasted: timedelta | None) -> Run:
    end = start + lasted if lasted is not None else None
    verdict = RUNNING if end is None else RunVerdict("finished", None, end, None)
    return Run(WORKSPACE, name, "w", CONTACT[1], "automatic", start, finished_at=end, verdict=verdict)


def _alive(run: Run, begin: datetime, until: datetime | None) -> bool:
    return (run.finished_at is None or run.finished_at >= begin) and (until is None or run.started_at < until)


def _place(run: Run) -> tuple[bool, datetime, str]:
    return run.finished_at is None, run.finished_at or run.started_at, run.run_id
