"""Removals and deletions that come late while settings change what counts: the count is what the messages come to."""

import random
from typing import Any

import pytest
from asyncpg import Pool

from tests.workers.asking import ask, by_phone, give, rows
from tests.workers.erasing import erase
from tests.workers.ingesting import ingest
from tests.workers.stepping import at_most, steps
from tests.workers.test_recount_steps import MONTH, NOW, any_setting, anything, finish, is_right
from workers.messages import recounting
from workers.store import mac, messages


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    at_most(monkeypatch, 7)
    monkeypatch.setattr(recounting, "_PAGE", 3)
    monkeypatch.setattr(mac, "LOOK", 2)
    monkeypatch.setattr(messages, "OPENING", 2)


async def take_away(pool: Pool, dice: random.Random, address: str) -> None:
    """Removes an address, or deletes a contact, at any time."""
    minutes = dice.randrange(-2 * MONTH, 2 * MONTH)
    if dice.random() < 0.6:
        await give(pool, ask("remove_channel", minutes=minutes, identity=by_phone(address)), now=NOW)
        return
    people = [row[0] for row in await rows(pool, "SELECT contact_id FROM sluice.contact_overview ORDER BY phone")]
    gone = [dice.choice(people)]
    await give(pool, ask("delete_contacts", minutes=minutes, contact_ids=gone, expected_count=1), now=NOW)


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("seed", range(16))
async def test_whatever_is_taken_away_it_ends_with_the_right_count(pool: Pool, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - repeatable, and no secret
    number = 0
    for _ in range(8):
        records: list[Any] = [anything(dice, number + n) for n in range(12)]
        number += 12
        await ingest(pool, *records, now=NOW)
        address = dice.choice(records).value.sender.address
        if dice.random() < 0.5:
            await give(pool, any_setting(dice), now=NOW)
        await steps(pool, dice.randrange(3))
        await take_away(pool, dice, address)
        if dice.random() < 0.4:
            begin = dice.randrange(-2 * MONTH, MONTH)
            turns = (("block_contact", begin), ("unblock_contact", begin + MONTH))
            await give(pool, *(ask(name, minutes=at_, identity=by_phone(address)) for name, at_ in turns), now=NOW)
        await steps(pool, dice.randrange(4))
        await erase(pool, dice.randrange(4))
    await finish(pool)
    await erase(pool)
    await finish(pool)
    await is_right(pool)
