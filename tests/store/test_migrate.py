"""The migration runner."""

import asyncio
from collections.abc import Sequence
from typing import Final

import asyncpg
import pytest

from tests.store.schemas import schema_of
from workers.errors import SetupError
from workers.store import migrate as runner
from workers.store.migrate import Migration, foreseen, migrate, migrations, pending
from workers.store.pool import pool_of

ALL: Final = migrations()
NAMES: Final = [m.name for m in ALL]


def repeatable(name: str, sql: str) -> Migration:
    return Migration(f"repeatable/{name}.sql", sql, sql)


@pytest.fixture
def version(monkeypatch: pytest.MonkeyPatch) -> "Version":
    return Version(monkeypatch)


class Version:
    """Which files this version has."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def has(self, files: Sequence[Migration]) -> list[str]:
        self._monkeypatch.setattr(runner, "migrations", lambda: list(files))
        return [file.name for file in files]


async def execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def value(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_readers_plan_for_the_workspace_of_each_call_and_workers_do_not(empty_database: str) -> None:
    await migrate(empty_database)
    assert await value(empty_database, "SHOW plan_cache_mode") == "force_custom_plan"
    async with pool_of(empty_database, name="test", max_size=1) as pool:
        assert await pool.fetchval("SHOW plan_cache_mode") == "auto"


async def test_a_second_run_applies_nothing_and_changes_nothing(empty_database: str) -> None:
    assert await migrate(empty_database) == NAMES
    before = await schema_of(empty_database)
    assert await migrate(empty_database) == []
    assert await schema_of(empty_database) == before


async def test_two_runs_at_once_apply_everything_once(empty_database: str) -> None:
    first, second = await asyncio.gather(migrate(empty_database), migrate(empty_database))
    assert sorted(first + second) == NAMES


async def test_a_database_migrated_file_by_file_is_like_a_fresh_one(
    empty_database: str, database: str, version: Version
) -> None:
    numbered = [file for file in ALL if not file.repeatable]
    for count in range(1, len(numbered) + 1):
        version.has(numbered[:count])
        assert await migrate(empty_database) == [numbered[count - 1].name]
    version.has(ALL)
    await migrate(empty_database)

    assert await schema_of(empty_database) == await schema_of(database)


async def test_repeatable_files_made_again_are_like_fresh_ones(database: str, version: Version) -> None:
    fresh = await schema_of(database)
    changed = [f._replace(sql=f.sql + "-- changed", checksum="changed") if f.repeatable else f for f in ALL]
    version.has(changed)
    assert await migrate(database) == [f.name for f in ALL if f.repeatable]
    version.has(ALL)
    await migrate(database)

    assert await schema_of(database) == fresh


async def test_a_changed_repeatable_file_is_applied(database: str, version: Version) -> None:
    version.has([*ALL, repeatable("99_mine", "CREATE VIEW sluice.mine AS SELECT 1 AS a, 2 AS b")])
    assert await migrate(database) == ["repeatable/99_mine.sql"]

    version.has([*ALL, repeatable("99_mine", "CREATE VIEW sluice.mine AS SELECT 'x' AS a")])
    assert await migrate(database) == ["repeatable/99_mine.sql"]
    assert await value(database, "SELECT mine::text FROM sluice.mine") == "(x)"
    assert await migrate(database) == []


async def test_what_a_removed_repeatable_file_made_is_dropped(database: str, version: Version) -> None:
    fresh = await schema_of(database)
    version.has([*ALL, repeatable("99_mine", "CREATE FUNCTION sluice.mine(a int) RETURNS int LANGUAGE sql RETURN a")])
    await migrate(database)
    assert await value(database, "SELECT sluice.mine(7)") == 7

    version.has(ALL)
    assert await migrate(database) == []
    assert await schema_of(database) == fresh


async def test_an_error_in_a_repeatable_file_leaves_everything_as_before(database: str, version: Version) -> None:
    before = await schema_of(database)
    table = Migration("9999_table.sql", "CREATE TABLE sluice_core.later (a int)", "x")
    version.has([*ALL, table, repeatable("99_wrong", "CREATE VIEW sluice.wrong AS SELECT nothing FROM nowhere")])
    with pytest.raises(SetupError, match=r'repeatable/99_wrong\.sql failed: relation "nowhere" does not exist'):
        await migrate(database)

    assert await schema_of(database) == before


async def test_a_table_may_change_under_a_view(database: str, version: Version) -> None:
    version.has(
        [*ALL, Migration("9999_wider.sql", "ALTER TABLE sluice_core.message_conflicts ALTER times TYPE numeric", "x")]
    )
    assert await migrate(database) == ["9999_wider.sql"]
    assert await value(database, "SELECT count(*) FROM sluice.message_conflicts") == 0


async def test_views_of_others_are_kept_and_those_that_use_ours_are_named(database: str, version: Version) -> None:
    await execute(database, "CREATE VIEW sluice.theirs AS SELECT 7 AS a")
    version.has([*ALL, repeatable("99_mine", "CREATE VIEW sluice.mine AS SELECT 1 AS a")])
    await migrate(database)
    assert await value(database, "SELECT a FROM sluice.theirs") == 7

    await execute(database, "CREATE VIEW public.report AS SELECT a FROM sluice.mine")
    version.has(ALL)
    with pytest.raises(SetupError, match=r"view public\.report depends on view sluice\.mine.*Drop those"):
        await migrate(database)
    assert await value(database, "SELECT a FROM public.report") == 1


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


@pytest.mark.parametrize("files", [ALL[:-1], [*ALL, repeatable("99_new", "SELECT 1")]], ids=["removed", "added"])
async def test_other_views_and_functions_than_this_versions_are_refused(
    pool: asyncpg.Pool, version: Version, files: Sequence[Migration]
) -> None:
    version.has(files)
    async with pool.acquire() as connection:
        with pytest.raises(
            SetupError, match=r"another version of Sluice \(repeatable/\w+\.sql\): run `sluice migrate`"
        ):
            await runner.check(connection)


def test_numbered_files_come_before_repeatable_ones_each_in_order() -> None:
    assert sorted(NAMES) == NAMES
    assert [name.startswith("repeatable/") for name in NAMES] == sorted(
        name.startswith("repeatable/") for name in NAMES
    )


def test_an_edited_migration_is_refused() -> None:
    known = [Migration("0001_first.sql", "SELECT 2", "new")]
    with pytest.raises(SetupError, match=r"0001_first\.sql was edited"):
        pending(known, {"0001_first.sql": "old"})


def test_a_database_newer_than_this_version_is_refused() -> None:
    with pytest.raises(SetupError, match=r"0007_later\.sql, unknown to this version"):
        pending([], {"0007_later.sql": "x"})


async def test_what_it_would_do_is_what_it_does_and_foreseeing_changes_nothing(
    empty_database: str, version: Version
) -> None:
    numbered = [file for file in ALL if not file.repeatable]
    version.has(numbered[:3])
    assert await foreseen(empty_database) == ([], [], [(file.name, True) for file in numbered[:3]])
    assert await value(empty_database, "SELECT to_regnamespace('sluice_core')") is None
    await migrate(empty_database)

    version.has([*ALL, repeatable("99_mine", "CREATE VIEW sluice.mine AS SELECT 1 AS a")])
    expected = [(name, True) for name in [*NAMES[3:], "repeatable/99_mine.sql"]]
    assert await foreseen(empty_database) == ([], [], expected)
    assert await migrate(empty_database) == [name for name, _ in expected]
    assert await foreseen(empty_database) == ([], [], [])

    changed = [f._replace(checksum="changed") if f.name == NAMES[-1] else f for f in ALL]
    version.has(changed)
    again = [(file.name, file.name == NAMES[-1]) for file in ALL if file.repeatable]
    before = await schema_of(empty_database)
    assert await foreseen(empty_database) == ([], ["repeatable/99_mine.sql"], again)
    assert await schema_of(empty_database) == before


async def test_foreseeing_refuses_what_migrating_refuses(database: str, version: Version) -> None:
    version.has(ALL[1:])
    with pytest.raises(SetupError, match="unknown to this version"):
        await foreseen(database)
