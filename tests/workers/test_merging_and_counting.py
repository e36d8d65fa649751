"""Merges and undos while messages, blocks and settings change what counts: the count is what the messages come to."""

import random
from typing import Any

import pytest
from asyncpg import Pool

from tests.workers.asking import ask, give, rows
from tests.workers.ingesting import ingest
from tests.workers.stepping import at_most, steps
from tests.workers.test_recount_steps import NOW, any_setting, anything, finish, is_right
from workers.messages import recounting

pytestmark = pytest.mark.usefixtures("_cycles_stay_open")


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    at_most(monkeypatch, 7)
    monkeypatch.setattr(recounting, "_PAGE", 3)


async def merge_or_undo(pool: Pool, dice: random.Random, merged: list[Any]) -> None:
    if merged and dice.random() < 0.5:
        await give(pool, ask("undo_merge", minutes=1, merge_id=str(merged.pop().value.command_id)), now=NOW)
        return
    people = [row[0] for row in await rows(pool, "SELECT contact_id::text FROM sluice.contact_overview")]
    if len(people) > 1:
        survivor, loser = dice.sample(people, 2)
        merged.append(ask("merge_contacts", survivor_id=survivor, loser_id=loser))
        await give(pool, merged[-1], now=NOW)


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("seed", range(12))
async def test_whatever_is_merged_and_parted_it_ends_with_the_right_count(pool: Pool, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - repeatable, and no secret
    number = 0
    merged: list[Any] = []
    for _ in range(8):
        records = [anything(dice, number + n) for n in range(10)]
        number += 10
        await ingest(pool, *records, now=NOW)
        await merge_or_undo(pool, dice, merged)
        if dice.random() < 0.5:
            await give(pool, any_setting(dice), now=NOW)
        await steps(pool, dice.randrange(3))
        await merge_or_undo(pool, dice, merged)
    await finish(pool)
    await is_right(pool)
