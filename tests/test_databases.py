"""A database of a test serves the next one, emptied, unless more than its rows was changed."""

import asyncpg

from tests.support.databases import Databases
from tests.workers.ingesting import ingest
from tests.workers.records import message
from workers.store.pool import pool_of


async def test_one_with_other_rows_is_used_again_and_is_empty(databases: Databases) -> None:
    async with databases.migrated() as first, pool_of(first, name="test") as pool:
        await ingest(pool, message())
    async with databases.migrated() as again, pool_of(again, name="test") as pool:
        assert again == first
        assert await pool.fetchval("SELECT count(*) FROM messages") == 0


async def test_one_that_is_made_of_something_else_is_not(databases: Databases) -> None:
    async with databases.migrated() as first:
        changed = await asyncpg.connect(first)
        await changed.execute("ALTER TABLE sluice_core.contacts ADD COLUMN more int")
        await changed.close()
    async with databases.migrated() as other:
        assert other != first
