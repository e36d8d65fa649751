"""Many rebalances: a member joins or leaves every two seconds, for a minute, some without leaving properly."""

import asyncio
import random
from signal import SIGKILL, SIGTERM
from typing import Final

import pytest

from tests.faults.books import Book
from tests.faults.process import WorkerProcess
from tests.faults.stage import Stage
from workers.errors import ExitCode

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

CHANGES: Final = 30
EVERY_S: Final = 2.0
MOST: Final = 4


async def test_a_storm_of_rebalances_loses_and_repeats_nothing(book: Stage) -> None:
    dice = random.Random(3)  # noqa: S311 - nothing secret
    living = await book.fork_ready("book", 2)
    leaving: list[WorkerProcess] = []

    async def change() -> None:
        """Between one and four workers run; a worker that leaves may be in the middle of anything."""
        if len(living) < MOST and (len(living) == 1 or dice.random() < 0.5):
            living.append(await book.fork("book"))
            return
        one = living.pop(dice.randrange(len(living)))
        # A process that has said nothing yet may be too young to know how to stop.
        how = dice.choice((SIGTERM, SIGKILL)) if one.logged() else SIGKILL
        one.send(how)
        if how == SIGTERM:
            leaving.append(one)

    load = Book(book)
    async with load.load():
        for _ in range(CHANGES):
            await change()
            await asyncio.sleep(EVERY_S)
    # Who was thrown out of the group for being too slow has been fenced; the others have handed over.
    codes = {await one.ended() for one in leaving}
    assert codes <= {ExitCode.CLEAN, ExitCode.FENCED}, book.told()
    await load.finish(replaced=MOST)
