"""Lists that are read by page, each behind the last row of the page before: they show every row once, in order, also
where many rows have one time, one name or none.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import pytest
import pytest_asyncio
from asyncpg import Pool

from tests.support.databases import Databases
from tests.workers.asking import ask, results
from tests.workers.records import DAY
from workers.store.pool import pool_of

NOBODY: Final = UUID(int=0)
PAGE: Final = 7
ROWS: Final = 60

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Of each sixty rows, few of which differ in what they are listed by; and as many of another workspace.
FILL: Final = """
SET search_path = sluice_core;
CREATE TEMP TABLE n AS
SELECT w.workspace_id, n, md5(w.workspace_id || n)::uuid AS id,
    timestamptz '2026-03-10Z' + n % 4 * interval '1 hour' AS at
FROM unnest(ARRAY['acme', 'other']) AS w (workspace_id) CROSS JOIN generate_series(1, 60) AS n;
INSERT INTO contacts (workspace_id, contact_id, display_name, blocked_at, blocks, email)
SELECT workspace_id, id, (ARRAY['Ana', 'Ben', NULL])[1 + n % 3], CASE WHEN n % 4 = 0 THEN at END,
    CASE WHEN n % 4 = 0 THEN ARRAY[tstzrange(at, NULL)] ELSE '{}' END, 'user' || n % 20 || '@example.org' FROM n;
INSERT INTO shared_values SELECT DISTINCT workspace_id, 'email', email FROM contacts;
INSERT INTO inbox_rows (workspace_id, contact_id, status, assignee, last_message_at)
SELECT workspace_id, id, (ARRAY['open', 'closed', 'snoozed', 'blocked'])[1 + n % 4], CASE WHEN n % 3 = 0 THEN 'ann' END,
    CASE WHEN n % 5 > 0 THEN at END FROM n;
INSERT INTO deletions (workspace_id, deletion_id, requested_at, contacts) SELECT workspace_id, id, at, 1 FROM n;
INSERT INTO merges (workspace_id, merge_id, survivor_id, loser_id, actor_id, merged_at)
SELECT workspace_id, id, id, id, 'ann', at FROM n;
INSERT INTO commands (workspace_id, command_id, command, actor_id, actor_role, outcome, changed, applied_at)
SELECT workspace_id, id, (ARRAY['add_tag', 'comment'])[1 + n % 2], (ARRAY['ann', 'bob', 'cem'])[1 + n % 3], 'agent',
    'done', '{}', at
FROM n;
INSERT INTO profiles (workspace_id, profile_id, name, name_key, created_by, created_at)
SELECT workspace_id, 'p' || n, 'House ' || n % 4, '', 'ann', at FROM n;
INSERT INTO mac_adjustments (workspace_id, cycle_start, contact_id, amount, cause)
SELECT workspace_id, at, id, 1, 'merge' FROM n;
INSERT INTO sends (workspace_id, send_id, group_id, channel, channel_id, content, source, requested_by, requested_role,
    requested_at, status, held_at, applied_at, updated_at)
SELECT workspace_id, id, (ARRAY['g', NULL])[1 + n % 2], 'sms', 'c', '{}', 'inbox', 'ann', 'agent', at,
    'held', at, at, at
FROM n;
INSERT INTO dead_letters (source_topic, source_partition, source_offset, error, status)
SELECT (ARRAY['messages.inbound', 'messages.outbound'])[1 + n % 2], 0, n, 'bad',
    (ARRAY['new', 'replayed', 'dismissed'])[1 + n % 3]
FROM n WHERE workspace_id = 'acme';
"""


class Listed(NamedTuple):
    """A view in the order of `columns`, the last of which is unique; `where` is a condition, `given` its value."""

    view: str
    columns: Sequence[str]
    descending: bool = False
    where: str = "workspace_id = $1"
    given: str = "acme"

    def __str__(self) -> str:
        return f"{self.view} {self.where}"


VIEWS: Final = (
    Listed("held_sends", ("held_at", "send_id")),
    Listed("held_sends", ("held_at", "send_id"), where="workspace_id = 'acme' AND group_id = $1", given="g"),
    Listed("blocked_contacts", ("blocked_at", "contact_id"), descending=True),
    Listed("deletions", ("requested_at", "deletion_id"), descending=True),
    Listed("merge_history", ("merged_at", "merge_id"), descending=True),
    Listed("merge_suggestions", ("field", "value")),
    Listed("profile_overview", ("name", "profile_id")),
    Listed("audit_list", ("at", "command_id"), descending=True),
    Listed(
        "audit_list", ("at", "command_id"), descending=True, where="workspace_id = 'acme' AND actor = $1", given="ann"
    ),
    Listed(
        "audit_list",
        ("at", "command_id"),
        descending=True,
        where="workspace_id = 'acme' AND command = $1",
        given="add_tag",
    ),
    Listed("mac_adjustments", ("cycle_start", "adjustment_id"), descending=True),
    Listed("dead_letter_list", ("id",), descending=True, where="status = $1", given="new"),
    Listed("dead_letter_list", ("id",), descending=True, where="source_topic = $1", given="messages.inbound"),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool(databases: Databases) -> AsyncIterator[Pool]:
    async with databases.migrated() as url, pool_of(url, name="test", max_size=1) as opened:
        async with opened.acquire() as connection, connection.transaction():
            await connection.execute(FILL)
            await connection.execute("DROP TABLE pg_temp.n; SET search_path = sluice_core, sluice")
        yield opened


async def walked(ask_for: Callable[[Sequence[Any]], Awaitable[Sequence[Any]]], columns: Sequence[str]) -> list[Any]:
    """All pages one after the other."""
    found: list[Any] = []
    last: Sequence[Any] = [None] * len(columns)
    while page := await ask_for(last):
        assert len(page) == PAGE or len(found) + len(page) <= ROWS
        found += page
        last = [page[-1][column] for column in columns]
    return found


@pytest.mark.parametrize("of", VIEWS, ids=str)
async def test_pages_of_a_view_show_every_row_once(pool: Pool, of: Listed) -> None:
    order = ", ".join(f"{column} {'DESC' if of.descending else 'ASC'}" for column in of.columns)
    behind = "<" if of.descending else ">"
    places = ", ".join(f"${n}" for n in range(2, len(of.columns) + 2))
    base = f"SELECT * FROM sluice.{of.view} WHERE {of.where}"  # noqa: S608
    async with pool.acquire() as connection:

        async def page(last: Sequence[Any]) -> Any:
            if last[-1] is None:
                return await connection.fetch(f"{base} ORDER BY {order} LIMIT {PAGE}", of.given)
            condition = f"({', '.join(of.columns)}) {behind} ({places})"
            return await connection.fetch(f"{base} AND {condition} ORDER BY {order} LIMIT {PAGE}", of.given, *last)

        found = await walked(page, of.columns)
        whole = await connection.fetch(f"{base} ORDER BY {order}", of.given)
    assert found == whole
    assert len({tuple(row[column] for column in of.columns) for row in found}) == len(whole) > PAGE


async def test_contacts_by_name_end_with_those_without_one(pool: Pool) -> None:
    query = "SELECT * FROM sluice.contacts_by_name('acme', $1, $2, $3)"
    found = await walked(lambda last: pool.fetch(query, *last, PAGE), ("display_name", "contact_id"))
    assert found == await pool.fetch(
        "SELECT * FROM sluice.contact_list WHERE workspace_id = 'acme' ORDER BY display_name, contact_id"
    )
    assert {row["display_name"] for row in found} == {"Ana", "Ben", None}
    assert len(await pool.fetch(query, None, None, 5_000)) == len(found) == 45
    assert await pool.fetch(query, None, None, -1) == []


@pytest.mark.parametrize("status", [None, "open", "blocked", "odd"])
@pytest.mark.parametrize("assignee", [None, "ann", "nobody"])
async def test_the_inbox_ends_with_those_without_a_message(
    pool: Pool, status: str | None, assignee: str | None
) -> None:
    query = "SELECT * FROM sluice.inbox_page('acme', $1, $2, $3, $4, $5)"
    found = await walked(
        lambda last: pool.fetch(query, status, assignee, *last, PAGE), ("last_message_at", "contact_id")
    )
    assert found == await pool.fetch(
        "SELECT * FROM sluice.inbox WHERE workspace_id = 'acme'"
        " AND coalesce(status = $1, true) AND coalesce(assignee = $2, $2 IS NULL)"
        " ORDER BY last_message_at DESC NULLS LAST, contact_id DESC",
        status,
        assignee,
    )
    assert (found == []) == (status == "odd" or assignee == "nobody")


async def test_the_audit_log_tells_which_command_and_from_where(pool: Pool) -> None:
    command = ask("define_status", minutes=3, workspace_id="audited", module="settings", name="VIP", protected=True)
    [changed] = await results(pool, command, now=DAY + timedelta(hours=1))
    row = await pool.fetchrow("SELECT * FROM sluice.audit_list WHERE workspace_id = 'audited'")
    expected = {"command_id": command.value.command_id, "actor": "olga", "role": "owner", "module": "settings"}
    assert expected.items() <= dict(row).items()
    assert (row["issued_at"], json.loads(row["changed"])) == (command.value.issued_at, changed)
