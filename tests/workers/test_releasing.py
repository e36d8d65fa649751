"""Releases of more dropped messages than one transaction can accept: released at once, shown in steps."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from asyncpg import Pool

from tests.workers.asking import ask, by_phone, contact_of, give, results, rows
from tests.workers.records import WORKSPACE, at, batch, message
from tests.workers.stepping import at_most, steps
from workers.app.pending_work import FairTurns
from workers.messages import worker as inbound
from workers.store import messages

ANA, BOB = "+4915112345678", "+4915187654321"
MANY = 10
SHOWN = "SELECT count(*) FROM sluice.conversation_messages"
DROPPED = "SELECT count(*) FROM sluice.drop_ledger"
ALL: dict[str, Any] = {"from": at(0), "to": at(60)}
EARLY: dict[str, Any] = {"from": at(0), "to": at(18)}


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction accepts four messages: ten are too many."""
    at_most(monkeypatch, 4)


async def clock(pool: Pool) -> datetime:
    """The database's, by which messages are decided."""
    now: datetime = await pool.fetchval("SELECT clock_timestamp()")
    return now


async def ingest(pool: Pool, *minutes: float, address: str = ANA, now: float = 50) -> None:
    async with pool.acquire() as tx, tx.transaction():
        await inbound.apply(tx, batch(*(message(address, minutes=m) for m in minutes), now=at(now)))


async def mistake(pool: Pool, address: str = ANA) -> None:
    """Ten messages that a block dropped, and the block's end."""
    await give(pool, ask("block_contact", minutes=1, identity=by_phone(address)), now=at(49))
    await ingest(pool, *range(10, 10 + MANY), address=address)
    await give(pool, ask("unblock_contact", minutes=40, identity=by_phone(address)), now=at(51))


def release(minutes: float = 52, **fields: Any) -> Any:
    return ask("release_dropped", minutes=minutes, **{"identity": by_phone(ANA)} | (fields or ALL))


async def test_what_is_released_appears_in_steps_and_is_counted_at_once(pool: Pool) -> None:
    await mistake(pool)
    assert await results(pool, release(), now=await clock(pool)) == [{"messages_revised": MANY}]
    assert (await rows(pool, SHOWN), await rows(pool, DROPPED)) == ([(0,)], [(MANY,)])
    assert await rows(pool, "SELECT kind, done, total FROM sluice.pending_work") == [("release messages", 0, MANY)]
    facts = await steps(pool)
    assert await rows(pool, "SELECT done FROM sluice.pending_work") == [(4,)]
    facts += await steps(pool, 10)
    told = [msgspec.json.decode(fact.value or b"") for fact in facts]
    assert Counter((v["reason"], v["to"]) for v in told) == {("released", "accepted"): MANY}
    assert (await rows(pool, SHOWN), await rows(pool, DROPPED)) == ([(MANY,)], [(0,)])
    assert await rows(pool, "SELECT count(*) FROM pending_work") == [(0,)]


async def test_a_message_is_released_once_by_the_first_that_asks(pool: Pool) -> None:
    await mistake(pool)
    ids = [str(id_) for (id_,) in await rows(pool, "SELECT message_id FROM sluice.drop_ledger ORDER BY event_time")]
    answers = await results(
        pool,
        release(52, **EARLY),
        release(message_ids=ids),
        release(),
        now=await clock(pool),
    )
    assert answers == [{"messages_revised": 8}, {"messages_revised": 2}, {}]
    facts = await steps(pool, 10)
    assert len({fact.key for fact in facts}) <= len(facts) == len({fact.ce_id for fact in facts})
    assert (await rows(pool, SHOWN), await rows(pool, DROPPED)) == ([(MANY,)], [(0,)])


async def test_by_id_as_well(pool: Pool) -> None:
    await mistake(pool)
    ids = [str(id_) for (id_,) in await rows(pool, "SELECT message_id FROM sluice.drop_ledger ORDER BY event_time")]
    assert await results(pool, release(message_ids=ids[:7] * 2), now=await clock(pool)) == [{"messages_revised": 7}]
    await steps(pool, 10)
    assert (await rows(pool, SHOWN), await rows(pool, DROPPED)) == ([(7,)], [(3,)])


async def test_several_contacts_of_one_batch(pool: Pool) -> None:
    await mistake(pool)
    await mistake(pool, BOB)
    answers = await results(pool, release(), release(identity=by_phone(BOB), **ALL), now=await clock(pool))
    assert answers == [{"messages_revised": MANY}] * 2
    await steps(pool, 10)
    assert (await rows(pool, SHOWN), await rows(pool, DROPPED)) == ([(2 * MANY,)], [(0,)])


async def test_what_is_released_is_not_erased_before_its_step(pool: Pool) -> None:
    await mistake(pool)
    await mistake(pool, BOB)
    await give(pool, release(), now=await clock(pool))
    async with pool.acquire() as tx, tx.transaction():
        assert await messages.erase(tx, await clock(pool) + timedelta(days=30), 100) == MANY  # Bob's
    await steps(pool, 10)
    assert (await rows(pool, SHOWN), await rows(pool, DROPPED)) == ([(MANY,)], [(MANY,)])


async def test_a_later_block_takes_nothing_back_and_what_it_drops_is_not_released(pool: Pool) -> None:
    await mistake(pool)
    await give(pool, release(), now=await clock(pool))
    await give(pool, ask("block_contact", minutes=45, identity=by_phone(ANA)), now=await clock(pool))
    await ingest(pool, 30, 46, now=54)  # one late for the first block, one for the second
    await steps(pool, 10)
    assert (await rows(pool, SHOWN), await rows(pool, DROPPED)) == ([(MANY,)], [(2,)])


@pytest.mark.parametrize("killed", range(3))
async def test_a_kill_between_any_two_steps_loses_nothing_and_repeats_nothing(pool: Pool, killed: int) -> None:
    await mistake(pool)
    outputs = await give(pool, release(), now=await clock(pool))
    facts = [o.event for o in outputs] + await steps(pool, killed)
    turns = FairTurns()
    async with pool.acquire() as tx:
        for last in (False, True):
            transaction = tx.transaction()
            await transaction.start()
            await turns.run(tx, at(53))
            await (transaction.rollback() if last else transaction.commit())
    facts += await steps(pool, 10)
    revised = [fact for fact in facts if fact.topic == "messages.revised"]
    assert len(revised) == len({fact.ce_id for fact in revised}) == MANY
    ana = await contact_of(pool, ANA)
    query = "SELECT active_contacts FROM sluice.mac_counts WHERE workspace_id = $1 ORDER BY cycle_start DESC LIMIT 1"
    assert (await rows(pool, query, WORKSPACE), await rows(pool, SHOWN)) == ([(1,)], [(MANY,)])
    assert await rows(pool, "SELECT count(*) FROM sluice.conversation_messages WHERE contact_id = $1", ana) == [(MANY,)]
