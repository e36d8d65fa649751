"""What the frame of every page asks costs no more in a large installation, and says the same as what it stands for."""

from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from console.person import Person
from console.reading import frame, people
from tests.support.databases import Databases
from workers.process.queries import statements

WORKSPACES: Final = 300
CONTACTS: Final = 40
OPERATOR: Final = Person("ops", "owner", (), is_operator=True)
FILLED: Final = """
    INSERT INTO sluice_core.workspaces (workspace_id) SELECT 'w' || n FROM generate_series(1, 300) AS n;
    INSERT INTO sluice_core.contacts (workspace_id, contact_id, opened_at)
    SELECT 'w1', gen_random_uuid(), now() FROM generate_series(1, 40);
    INSERT INTO sluice_core.inbox_totals (workspace_id, assignee, status, contacts)
    VALUES ('w1', NULL, 'open', 38), ('w1', 'ana', 'open', 1), ('w1', NULL, 'blocked', 1);
    ANALYZE;
"""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reader(databases: Databases) -> AsyncIterator[asyncpg.Connection]:
    async with databases.migrated() as url:
        filling = await asyncpg.connect(url)
        await filling.execute(FILLED)
        await filling.close()
        connection = await asyncpg.connect(
            url, server_settings={"role": "sluice_console", "plan_cache_mode": "force_custom_plan"}
        )
        yield connection
        await connection.close()


async def test_the_frame_names_each_workspace_once(reader: asyncpg.Connection) -> None:
    expected = await reader.fetch("SELECT workspace_id FROM sluice.workspace_settings ORDER BY workspace_id LIMIT 200")

    assert await frame.workspaces(reader, OPERATOR) == [row["workspace_id"] for row in expected]
    assert await frame.workspaces(reader, Person("ana", "agent", ["w7", "w8", "none"])) == ["w7", "w8"]


@pytest.mark.parametrize(
    ("module", "name", "arguments"),
    [("frame", "workspaces", (True, [])), ("settings", "workspaces", (True, [], None, 10))],
)
async def test_workspaces_are_listed_without_the_settings_of_all(
    reader: asyncpg.Connection, module: str, name: str, arguments: tuple[object, ...]
) -> None:
    statement = statements("console", module)[name]
    told = await reader.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *arguments)

    assert most_rows(msgspec.json.decode(told)[0]["Plan"]) <= 2 * WORKSPACES


async def test_contacts_are_counted_as_the_inbox_counts_them(reader: asyncpg.Connection) -> None:
    assert await people.count_contacts(reader, "w1") == CONTACTS
    assert await people.count_contacts(reader, "w2") == 0


def most_rows(plan: Any) -> float:
    """The most rows that one node of a plan gave."""
    rows: float = plan["Actual Rows"] * plan["Actual Loops"]
    return max([rows, *map(most_rows, plan.get("Plans", ()))])
