"""Pending work: every workspace has its turn, whatever work others have and whatever fails."""

from collections.abc import Iterable
from datetime import UTC, datetime

from asyncpg import Pool

from tests.workers.records import uuid_of
from workers.app.pending_work import FairTurns
from workers.errors import RetryBatch
from workers.services.job_runner import Unfinished
from workers.store import pending_work
from workers.store.connection import Connection
from workers.store.pending_work import Stepped, Work

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def work(workspace_id: str, subject: str, steps: int = 1) -> Work:
    return Work(workspace_id=workspace_id, kind="count", subject=subject, command_id=uuid_of(subject), total=steps)


async def asked(pool: Pool, works: Iterable[Work]) -> None:
    async with pool.acquire() as tx, tx.transaction():
        await pending_work.add(tx, works)


class Counting:
    """A kind of work that counts up to its total, and a job that does it. `broken` workspaces refuse."""

    def __init__(self, pool: Pool, *broken: str) -> None:
        self.done: list[str] = []
        self._broken = broken
        self._pool = pool
        self._turns = FairTurns({"count": self._step})

    async def _step(self, _tx: Connection, work: Work, _now: datetime) -> Stepped:
        if work.workspace_id in self._broken:
            raise RetryBatch("not now")
        self.done.append(work.subject)
        assert work.cursor == (str(work.done) if work.done else None)
        return Stepped((), 1, more=work.done + 1 < work.total, cursor=str(work.done + 1))

    async def run(self, rounds: int) -> None:
        for _ in range(rounds):
            try:
                async with self._pool.acquire() as tx, tx.transaction():
                    if not isinstance(await self._turns.run(tx, NOW), Unfinished):
                        return
            except RetryBatch:
                continue


async def test_workspaces_take_turns_however_much_one_of_them_left(pool: Pool) -> None:
    counting = Counting(pool)
    await asked(pool, [work("a", f"a{n}") for n in range(20)])
    await counting.run(6)
    await asked(pool, [work("b", "b0", steps=3)])
    await counting.run(100)
    assert [s[0] for s in counting.done] == list("aaabababa" + "a" * 14)
    assert await pool.fetchval("SELECT count(*) FROM sluice.pending_work") == 0


async def test_within_a_workspace_what_was_asked_for_first_is_done_first(pool: Pool) -> None:
    counting = Counting(pool)
    for subject in ("z", "y", "x"):
        await asked(pool, [work("a", subject, steps=2)])
    await counting.run(100)
    assert counting.done == list("zzyyxx")


async def test_a_step_that_fails_costs_its_workspace_the_turn(pool: Pool) -> None:
    counting = Counting(pool, "a")
    await asked(pool, [work("a", "a0"), work("b", "b0", steps=2), work("c", "c0")])
    await counting.run(10)
    assert sorted(counting.done) == ["b0", "b0", "c0"]
    assert await pool.fetch("SELECT workspace_id, done FROM sluice.pending_work") == [("a", 0)]


async def test_a_step_that_is_rolled_back_was_not_done(pool: Pool) -> None:
    await asked(pool, [work("a", "a0", steps=2)])
    counting = Counting(pool)
    await counting.run(1)
    async with pool.acquire() as tx:
        transaction = tx.transaction()
        await transaction.start()
        await counting._turns.run(tx, NOW)  # noqa: SLF001 - a process that is killed
        await transaction.rollback()
    await Counting(pool).run(100)
    assert await pool.fetchval("SELECT count(*) FROM sluice.pending_work") == 0


async def test_what_a_command_left_already_stays_as_it_is(pool: Pool) -> None:
    await asked(pool, [work("a", "a0", steps=5)])
    await asked(pool, [work("a", "a0", steps=9)])
    assert await pool.fetch("SELECT total FROM sluice.pending_work") == [(5,)]
