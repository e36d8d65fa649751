"""Brings what follows the workers up to date, as the publisher of contacts.changes and the jobs of upkeep do."""

import random

from asyncpg import Pool

from workers.contacts import changes_topic
from workers.store import inbox, mac


async def refresh(pool: Pool, dice: random.Random | None = None) -> None:
    """All that waits; with dice some of it."""
    async with pool.acquire() as tx, tx.transaction():
        current = await changes_topic.load(tx, 1_000)
        await changes_topic.clear(tx, [c for c in current if dice is None or dice.random() < 0.5])
    async with pool.acquire() as tx, tx.transaction():
        while await inbox.take_news(tx, 10) and dice is None:
            pass
        await mac.sum_quarters(tx, 1_000 if dice is None else 3)
