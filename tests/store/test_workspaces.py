"""Transactions that share a workspace's settings, and those that change them."""

import asyncio

from asyncpg import Pool

from tests.support.databases import until
from tests.workers.records import WORKSPACE
from workers.store import workspaces

SHARED_FOR_S = 0.1


async def test_a_crowd_that_goes_by_the_settings_lets_through_who_changes_them(pool: Pool) -> None:
    """The crowd overlaps, so there is no moment in which nobody shares the row."""
    over = asyncio.Event()
    async with pool.acquire() as tx:
        await workspaces.share(tx, {(WORKSPACE, "", "")})

    async def go_by(begin_s: float) -> None:
        await asyncio.sleep(begin_s)
        while not over.is_set():
            async with pool.acquire() as tx, tx.transaction():
                await workspaces.share(tx, {(WORKSPACE, "", "")})
                await asyncio.sleep(SHARED_FOR_S)

    crowd = [asyncio.create_task(go_by(n * SHARED_FOR_S / 8)) for n in range(8)]
    await asyncio.sleep(2 * SHARED_FOR_S)
    try:
        async with pool.acquire() as tx, tx.transaction():
            await asyncio.wait_for(workspaces.lock(tx, [WORKSPACE]), 50 * SHARED_FOR_S)
    finally:
        over.set()
        await asyncio.gather(*crowd)


async def test_who_goes_by_the_settings_of_a_new_workspace_stands_in_line_as_well(pool: Pool) -> None:
    """Else it would make the row while it waits for whoever makes it, and be waited for."""

    async def go_by() -> list[str]:
        async with pool.acquire() as tx, tx.transaction():
            return list(await workspaces.share(tx, {(WORKSPACE, "", "")}))

    async with pool.acquire() as tx, tx.transaction():
        await workspaces.lock(tx, [WORKSPACE])
        waiting = asyncio.create_task(go_by())
        await until(
            pool,
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND"
            " database = (SELECT oid FROM pg_database WHERE datname = current_database()))",
        )
    assert await waiting == [WORKSPACE]
