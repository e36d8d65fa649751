"""Runs steps of pending work as the job does."""

import pytest
from asyncpg import Pool

from workers.app.pending_work import FairTurns
from workers.records import Event
from workers.services.job_runner import Unfinished
from workers.store import pending_work
from workers.store.connection import transaction_time


async def steps(pool: Pool, number: int = 1) -> list[Event]:
    """So many steps, or as many as there are; their facts."""
    turns = FairTurns()
    facts: list[Event] = []
    for _ in range(number):
        for _choose_then_do in range(2):
            async with pool.acquire() as tx, tx.transaction():
                result = await turns.run(tx, await transaction_time(tx))
            if not isinstance(result, Unfinished):
                return facts
            facts += result.events
    return facts


def at_most(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """From now on a transaction changes no more rows than that."""
    monkeypatch.setattr(pending_work, "ROWS_AT_ONCE", rows)
    monkeypatch.setattr(pending_work, "STEP", rows)
