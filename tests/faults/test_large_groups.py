"""Groups at their real size: their memory, and that other work does not wait for them."""

import asyncio
import sys
from typing import Any

import msgspec
import pytest
from asyncpg import Pool

from tests.workers.large_groups import fill
from tests.workers.records import batch, message
from workers.messages import worker as inbound
from workers.store import pending_work

MIB = 256


async def answered(database: str, *arguments: str) -> dict[str, Any]:
    """By a process of its own, whose memory nobody else used."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.workers.large_groups", database, *arguments), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    found: dict[str, Any] = msgspec.json.decode(out)
    return found


@pytest.mark.parametrize(
    ("command", "becomes", "facts_each"), [("confirm_send", "released", 3), ("reject_send", "rejected", 1)]
)
async def test_groups_take_no_more_memory_than_a_transactions_worth(
    pool: Pool, database: str, command: str, becomes: str, facts_each: int
) -> None:
    largest, beyond = pending_work.ROWS_AT_ONCE, 3 * pending_work.ROWS_AT_ONCE
    async with pool.acquire() as tx:
        for group, holds in (("small", largest), ("large", beyond)):
            async with tx.transaction():
                await fill(tx, "acme", group, holds)
        await tx.execute("ANALYZE")
    small = await answered(database, command, "acme", "small")
    large = await answered(database, command, "acme", "large")
    assert (small["changed"], small["facts"], small["stepped"]) == ({becomes: largest}, largest * facts_each, 0)
    assert (large["changed"], large["facts"], large["stepped"]) == (
        {becomes: beyond},
        0,
        pending_work.STEP * facts_each,
    )
    assert max(small["peak"], large["peak"]) < MIB


async def test_while_a_large_group_is_answered_messages_of_all_are_accepted(pool: Pool, database: str) -> None:
    async with pool.acquire() as tx, tx.transaction():
        await fill(tx, "acme", "large", 2 * pending_work.ROWS_AT_ONCE)
    waits: list[float] = []
    loop = asyncio.get_running_loop()
    answering = asyncio.create_task(answered(database, "confirm_send", "acme", "large"))
    while not answering.done():
        began = loop.time()
        n = len(waits)
        sent = (message(f"+4917{n:08d}", workspace_id=w, minutes=n) for w in ("acme", "globex"))
        async with pool.acquire() as tx, tx.transaction():
            await inbound.apply(tx, batch(*sent))
        waits.append(loop.time() - began)
    assert (await answering)["changed"] == {"released": 2 * pending_work.ROWS_AT_ONCE}
    assert max(waits) < 2
