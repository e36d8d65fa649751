"""The migration runner."""

import asyncio

import asyncpg
import pytest

from workers.errors import SetupError
from workers.store import migrate as runner
from workers.store.migrate import Migration, migrate, migrations, pending


async def test_a_second_run_applies_nothing(empty_database: str) -> None:
    assert await migrate(empty_database) == [f"{m.number:04}_{m.name}" for m in migrations()]
    assert await migrate(empty_database) == []


async def test_two_runs_at_once_apply_everything_once(empty_database: str) -> None:
    first, second = await asyncio.gather(migrate(empty_database), migrate(empty_database))
    assert sorted(first + second) == [f"{m.number:04}_{m.name}" for m in migrations()]


async def test_a_database_without_migrations_is_refused(empty_database: str) -> None:
    connection = await asyncpg.connect(empty_database)
    try:
        with pytest.raises(SetupError, match="run `sluice migrate`"):
            await runner.check(connection)
    finally:
        await connection.close()


async def test_a_migrated_database_is_accepted(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await runner.check(connection)


def test_an_edited_migration_is_refused() -> None:
    known = [Migration(1, "first", "SELECT 2", "new")]
    with pytest.raises(SetupError, match="0001_first.sql was edited"):
        pending(known, [(1, "first", "old")])


def test_a_database_newer_than_this_version_is_refused() -> None:
    with pytest.raises(SetupError, match="0007_later, unknown to this version"):
        pending([], [(7, "later", "x")])
