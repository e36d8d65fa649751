"""Claims, receipts, answers, blocks, settlements and jobs on the same sends at once: one attempt at most is live.

A live attempt is one that a sender claimed and that no receipt, person or clock has ended.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from random import Random
from typing import Any, Final

from asyncpg import DeadlockDetectedError, Pool, SerializationError

from tests.workers.asking import ask, by_phone, give
from tests.workers.records import WORKSPACE, at, batch, message, uuid_of
from tests.workers.sending import receipt, request, rows
from workers.app import commands_worker as commands
from workers.errors import RetryBatch
from workers.messages import worker as inbound
from workers.sends import jobs, worker

SEED: Final = 11
ROUNDS: Final = 10
SENDS: Final = 12  # in each round
CLIENTS: Final = 8
EVENTS: Final = 25  # of each client in a round
LATE: Final = at(10**6)
"""Every pause, hold and claim is over by then."""

WATCH: Final = """
CREATE FUNCTION sluice_core.watch_claims() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.claimed_at IS NULL AND NEW.claimed_at IS NOT NULL THEN
        IF EXISTS (
            SELECT FROM sluice_core.send_attempts a WHERE a.workspace_id = NEW.workspace_id AND a.send_id = NEW.send_id
                AND a.attempt <> NEW.attempt AND a.claimed_at IS NOT NULL AND a.status = 'dispatched'
        ) THEN
            RAISE 'two live attempts of %', NEW.send_id;
        ELSIF (
            SELECT (s.status, s.attempt) IS DISTINCT FROM ('dispatched', NEW.attempt) FROM sluice_core.sends s
            WHERE s.workspace_id = NEW.workspace_id AND s.send_id = NEW.send_id
        ) THEN
            RAISE 'granted when it was over: % %', NEW.send_id, NEW.attempt;
        END IF;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER watch_claims BEFORE UPDATE ON sluice_core.send_attempts
    FOR EACH ROW EXECUTE FUNCTION sluice_core.watch_claims();
"""
LIVE: Final = """
SELECT send_id FROM sluice_core.send_attempts WHERE claimed_at IS NOT NULL AND status = 'dispatched'
GROUP BY send_id HAVING count(*) > 1
"""
CLAIM: Final = """
SELECT c.granted, s.attempt
FROM (SELECT attempt - $3::int AS attempt FROM sluice_core.sends WHERE workspace_id = $1 AND send_id = $2) AS s
CROSS JOIN LATERAL sluice.claim_send($1, $2, s.attempt) AS c
"""
KINDS: Final = (*["claim"] * 12, *["receipt"] * 8, *["job"] * 6, "answer", "answer", "settle", "settle", "block")

Work = Callable[[Any], Awaitable[Any]]


def number(name: str) -> str:
    return f"+49151{uuid_of(name).int % 10**8:08}"


class Race:
    """Clients that do anything to the sends of a round. `granted`: how often each attempt was, of each send."""

    def __init__(self, pool: Pool, dice: Random) -> None:
        self.pool = pool
        self.dice = dice
        self.granted: Counter[tuple[str, int]] = Counter()
        self.events: Counter[str] = Counter()

    async def round(self, names: Sequence[str]) -> None:
        """New sends, of which some are held, and everything that can happen to them."""
        people = [message(number(name)) for name in names]
        await self._applied(lambda tx: inbound.apply(tx, batch(*people)))
        protected = [ask("attach_contact", identity=by_phone(number(n)), profile_id="vip") for n in names[::2]]
        await self._applied(lambda tx: commands.apply(tx, batch(*protected)))
        asked = [request(name, to=number(name)) for name in names]
        await self._applied(lambda tx: worker.apply(tx, batch(*asked)))
        async with asyncio.TaskGroup() as clients:
            racing = [clients.create_task(self._client(names)) for _ in range(CLIENTS)]
            clients.create_task(self._watch(racing))

    async def _watch(self, racing: Sequence[asyncio.Task[None]]) -> None:
        while not all(client.done() for client in racing):
            assert await self.pool.fetch(LIVE) == []
            await asyncio.sleep(0.01)

    async def _client(self, names: Sequence[str]) -> None:
        for _ in range(EVENTS):
            name, what = self.dice.choice(names), self.dice.choice(KINDS)
            self.events[what] += 1
            if what == "claim":
                await self._claim(name, self.dice.choice((0, 0, 0, 1)))
            else:
                await self._applied(self._work(what, name))

    async def _claim(self, name: str, earlier: int) -> None:
        granted, attempt = await self._applied(lambda tx: tx.fetchrow(CLAIM, WORKSPACE, uuid_of(name), earlier))
        if granted:
            self.granted[name, attempt] += 1

    def _work(self, what: str, name: str) -> Work:
        match what:
            case "receipt":
                status = self.dice.choice((*["failed"] * 10, "ambiguous", "ambiguous", "sent"))
                attempt = self.dice.choice((None, None, None, 1))
                said = receipt(status, name, attempt=attempt, error={"code": "busy"})
                return lambda tx: worker.apply(tx, batch(said))
            case "answer":
                answer = ask(
                    self.dice.choice((*["confirm_send"] * 5, "reject_send")),
                    send_id=uuid_of(name),
                )
                return lambda tx: commands.apply(tx, batch(answer))
            case "block":
                command = self.dice.choice(("block_contact", "unblock_contact", "unblock_contact"))
                blocked = ask(command, minutes=self.dice.randint(20, 60), identity=by_phone(number(name)))
                return lambda tx: commands.apply(tx, batch(blocked))
            case "settle":
                as_ = self.dice.choice(("retry", "retry", "failed"))
                fields: dict[str, Any] = {"send_id": uuid_of(name), "as": as_}
                word = ask("settle_send", **fields)
                return lambda tx: commands.apply(tx, batch(word))
            case _:
                job = self.dice.choice((*[jobs.repeat] * 18, jobs.expire, jobs.run_out))
                return lambda tx: job(tx, LATE + timedelta(days=2) if job is jobs.run_out else LATE)

    async def _applied(self, work: Work) -> Any:
        """One transaction, tried again for the reasons for which the engine does."""
        while True:
            try:
                async with self.pool.acquire() as tx, tx.transaction():
                    return await work(tx)
            except (RetryBatch, DeadlockDetectedError, SerializationError):
                self.events["tried again"] += 1


async def test_one_attempt_of_a_send_is_live_at_most_and_each_is_granted_once(pool: Pool) -> None:
    await pool.execute(WATCH)
    race = Race(pool, Random(SEED))  # noqa: S311 - nothing secret
    await give(
        pool,
        ask("define_status", name="vip", protected=True),
        ask("create_profile", profile_id="vip", name="vip"),
        ask("set_profile_status", profile_id="vip", status="vip"),
    )
    for n in range(ROUNDS):
        await race.round([f"s{n}.{m}" for m in range(SENDS)])

    assert len(race.granted) > 40
    assert set(race.granted.values()) == {1}
    assert {1, 2, 3} <= {attempt for _, attempt in race.granted}
    statuses = {status for (status,) in await rows(pool, "SELECT DISTINCT status FROM sluice.sends")}
    assert {"sent", "failed", "ambiguous", "refused", "cancelled", "rejected"} <= statuses
