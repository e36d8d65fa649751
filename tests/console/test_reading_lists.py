"""Every list gives each row of its view once, in pages, and a page reads no more than it shows."""

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from benchmarks.reading.asking import Place, large
from benchmarks.reading.data import scripts
from console.person import Person
from console.reading import billing, contacts, conversations, histories, operations, profiles, queue, sends, settings
from console.reading.paging import BadCursor, Rows
from tests.support.databases import Databases

CONTACTS: Final = 10_000
NOW: Final = datetime.now(UTC)
OPERATOR: Final = Person("ops", "owner", (), is_operator=True)
SOMEBODY: Final = 5  # one of those whose messages were dropped
SIZE: Final = 7
MOST_READ: Final = 1_500
MOST_READ_OF: Final[Mapping[str, int]] = {"contacts found": 9_000, "profiles found": 9_000, "explained": 3_000}
READ: Final = """
    SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0) FROM pg_stat_xact_all_tables
    WHERE schemaname = 'sluice_core'
"""
Asked = Callable[[Any, Place, int, str | None], Coroutine[Any, Any, Rows]]

# How each list is asked, and what it has: a statement with the workspace as its only parameter.
LISTS: Final[Mapping[str, tuple[Asked, str]]] = {
    "contacts": (
        lambda c, p, n, at: contacts.by_name(c, p.workspace, n, at),
        "SELECT contact_id FROM sluice.contact_list WHERE workspace_id = $1",
    ),
    "contacts with a tag": (
        lambda c, p, n, at: contacts.with_tag(c, p.workspace, "tag 1", n, at),
        "SELECT contact_id FROM sluice.contact_list WHERE workspace_id = $1 AND 'tag 1' = ANY (tags)",
    ),
    "blocked contacts": (
        lambda c, p, n, at: contacts.blocked(c, p.workspace, n, at),
        "SELECT contact_id FROM sluice.blocked_contacts WHERE workspace_id = $1",
    ),
    "contacts found": (
        lambda c, p, n, at: contacts.found(c, p.workspace, "an", n, at),
        "SELECT contact_id FROM sluice.search_contacts($1, 'an', 1000)",
    ),
    "channels": (
        lambda c, p, n, at: contacts.channels(c, p.workspace, p.contact(SOMEBODY), n, at),
        "SELECT channel, channel_id, address FROM sluice.contact_channels WHERE workspace_id = $1 AND contact_id = $2",
    ),
    "messages": (
        lambda c, p, n, at: contacts.messages(c, p.workspace, p.contact(SOMEBODY), n, at),
        "SELECT message_id FROM sluice.conversation_messages WHERE workspace_id = $1 AND contact_id = $2",
    ),
    "suggestions": (
        lambda c, p, n, at: contacts.suggestions(c, p.workspace, n, at),
        "SELECT field, value FROM sluice.merge_suggestions WHERE workspace_id = $1",
    ),
    "merges": (
        lambda c, p, n, at: contacts.merges(c, p.workspace, n, at),
        "SELECT merge_id FROM sluice.merge_history WHERE workspace_id = $1",
    ),
    "profiles": (
        lambda c, p, n, at: profiles.by_name(c, p.workspace, n, at),
        "SELECT profile_id FROM sluice.profile_overview WHERE workspace_id = $1",
    ),
    "profiles found": (
        lambda c, p, n, at: profiles.found(c, p.workspace, "a", n, at),
        "SELECT profile_id FROM sluice.search_profiles($1, 'a', 1000)",
    ),
    "holds": (
        lambda c, p, n, at: sends.held(c, p.workspace, None, n, at),
        "SELECT send_id FROM sluice.held_sends WHERE workspace_id = $1",
    ),
    "queue of holds": (
        lambda c, p, n, at: queue.queue(c, p.workspace, None, n, at),
        "SELECT send_id FROM sluice.held_sends WHERE workspace_id = $1",
    ),
    "conversations": (
        lambda c, p, n, at: conversations.folder(c, p.workspace, "open", None, n, at),
        "SELECT contact_id FROM sluice.inbox WHERE workspace_id = $1 AND status = 'open'",
    ),
    "runs": (
        lambda c, p, n, at: histories.runs(c, p.workspace, n, at),
        "SELECT run_id FROM sluice.workflow_runs WHERE workspace_id = $1",
    ),
    "drops": (
        lambda c, p, n, at: histories.drops(c, p.workspace, n, at),
        "SELECT message_id FROM sluice.drop_ledger WHERE workspace_id = $1",
    ),
    "drops of a contact": (
        lambda c, p, n, at: histories.drops_of_contact(c, p.workspace, p.contact(SOMEBODY), n, at),
        "SELECT message_id FROM sluice.drop_ledger WHERE workspace_id = $1 AND contact_id = $2",
    ),
    "audit": (
        lambda c, p, n, at: histories.audit(c, p.workspace, histories.AuditFilter(), n, at),
        "SELECT command_id FROM sluice.audit_list WHERE workspace_id = $1",
    ),
    "deletions": (
        lambda c, p, n, at: histories.deletions(c, p.workspace, n, at),
        "SELECT deletion_id FROM sluice.deletions WHERE workspace_id = $1",
    ),
    "cycles": (
        lambda c, p, n, at: billing.counts(c, p.workspace, n, at),
        "SELECT cycle_start FROM sluice.mac_counts WHERE workspace_id = $1",
    ),
    "counted": (
        lambda c, p, n, at: billing.contacts(c, p.workspace, p.cycle(), n, at),
        "SELECT contact_id FROM sluice.mac_contacts WHERE workspace_id = $1 AND cycle_start = $2",
    ),
    "adjustments": (
        lambda c, p, n, at: billing.adjustments(c, p.workspace, p.cycle(), n, at),
        "SELECT adjustment_id FROM sluice.mac_adjustments WHERE workspace_id = $1 AND cycle_start = $2",
    ),
    "explained": (
        lambda c, p, n, at: billing.explained(c, p.workspace, p.cycle(), p.contact(SOMEBODY), n, at),
        "SELECT message_id FROM sluice.explain_mac($1, $2, $3)",
    ),
    "workspaces": (
        lambda c, _p, n, at: settings.workspaces(c, OPERATOR, n, at),
        "SELECT workspace_id FROM sluice.workspace_settings",
    ),
    "partitions": (
        lambda c, _p, n, at: operations.partitions(c, n, at),
        "SELECT topic, partition FROM sluice.partitions",
    ),
    "dead letters": (
        lambda c, _p, n, at: operations.dead_letters(c, operations.LetterFilter(), n, at),
        "SELECT id FROM sluice.dead_letter_list",
    ),
}

# What the other scripts leave out, many of it at the same moment.
MORE: Final = """
    SET search_path = sluice_core;
    INSERT INTO merges (workspace_id, merge_id, survivor_id, loser_id, actor_id, merged_at)
    SELECT 'acme', gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'a', date_trunc('day', now())
    FROM generate_series(1, 20);
    INSERT INTO deletions (workspace_id, deletion_id, requested_at, contacts)
    SELECT 'acme', gen_random_uuid(), date_trunc('day', now()) + n / 10 * interval '1 h', n
    FROM generate_series(1, 50) AS n;
    INSERT INTO mac_adjustments (workspace_id, cycle_start, contact_id, amount, cause)
    SELECT c.workspace_id, c.cycle_start, gen_random_uuid(), 1, 'late_message'
    FROM mac_cycles AS c CROSS JOIN generate_series(1, 30) WHERE c.workspace_id = 'acme';
    INSERT INTO progress (topic, partition, consumer_group, generation, next_offset)
    SELECT 'messages.inbound', n, 'sluice', 1, n FROM generate_series(0, 30) AS n;
    UPDATE inbox_rows SET last_message_at = NULL WHERE contact_id IN (
        SELECT contact_id FROM inbox_rows WHERE workspace_id = 'acme' AND status = 'open' ORDER BY contact_id LIMIT 100
    );
    UPDATE contacts SET display_name = NULL WHERE contact_id IN (
        SELECT contact_id FROM contacts
        WHERE workspace_id = 'acme' AND blocked_at IS NULL ORDER BY contact_id LIMIT 1200
    );
"""


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def filled(databases: Databases) -> AsyncIterator[str]:
    """The URL of a database with filled tables."""
    async with databases.migrated() as url:
        for script in (*scripts(CONTACTS, 2 * CONTACTS, 500, 20, NOW.isoformat()), MORE):
            filling = await asyncpg.connect(url)
            await filling.execute(script)
            await filling.execute("ANALYZE")
            await filling.close()
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reader(filled: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the console's."""
    settings_ = {"role": "sluice_console", "plan_cache_mode": "force_custom_plan", "random_page_cost": "1.1"}
    connection = await asyncpg.connect(filled, server_settings=settings_)
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(kind, schema="pg_catalog", encoder=str, decoder=msgspec.json.decode)
    yield connection
    await connection.close()


# Some above the first row, and some at the same moment as others.
ADDED: Final = """
    INSERT INTO sluice_core.merges (workspace_id, merge_id, survivor_id, loser_id, actor_id, merged_at)
    SELECT 'acme', gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'a', at
    FROM (VALUES (now()), (date_trunc('day', now()))) AS new (at)
"""


def key_of(statement: str, row: Mapping[str, Any]) -> tuple[Any, ...]:
    columns = statement.removeprefix("SELECT ").partition(" FROM")[0].split(", ")
    return tuple(row[column] for column in columns)


def arguments_of(place: Place, statement: str) -> Sequence[object]:
    if "$1" not in statement:
        return ()
    if "$3" in statement:
        return place.workspace, place.cycle(), place.contact(SOMEBODY)
    if "cycle_start = $2" in statement:
        return place.workspace, place.cycle()
    return (place.workspace, place.contact(SOMEBODY)) if "$2" in statement else (place.workspace,)


@pytest.mark.parametrize("name", LISTS)
async def test_the_pages_of_a_list_are_its_view(reader: asyncpg.Connection, name: str) -> None:
    asked, statement = LISTS[name]
    place = large(CONTACTS, NOW)
    expected = [tuple(row) for row in await reader.fetch(statement, *arguments_of(place, statement))]
    size = max(SIZE, len(expected) // 20 + 1)
    found: list[tuple[Any, ...]] = []
    cursor: str | None = None
    while True:
        rows = await asked(reader, place, size, cursor)
        assert len(rows.items) <= size
        found += [key_of(statement, row) for row in rows.items]
        cursor = rows.next
        if cursor is None:
            break
    assert len(found) == len(set(found)) > 0
    assert set(found) == set(expected)


async def test_rows_that_come_meanwhile_neither_hide_nor_repeat_others(filled: str, reader: asyncpg.Connection) -> None:
    asked, statement = LISTS["merges"]
    place = large(CONTACTS, NOW)
    before = {row[0] for row in await reader.fetch(statement, place.workspace)}
    writer = await asyncpg.connect(filled)
    found: list[Any] = []
    cursor: str | None = None
    try:
        while True:
            rows = await asked(reader, place, SIZE, cursor)
            found += [row["merge_id"] for row in rows.items]
            cursor = rows.next
            if cursor is None:
                break
            await writer.execute(ADDED)
    finally:
        await writer.close()

    assert len(found) == len(set(found))
    assert before <= set(found)


@pytest.mark.parametrize("name", LISTS)
async def test_a_page_reads_few_rows(reader: asyncpg.Connection, name: str) -> None:
    place = large(CONTACTS, NOW)
    cursor: str | None = None
    for _ in range(3):
        async with reader.transaction():
            before = await reader.fetchval(READ)
            rows = await LISTS[name][0](reader, place, 50, cursor)
            assert await reader.fetchval(READ) - before <= MOST_READ_OF.get(name, MOST_READ)
        cursor = rows.next


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("cursor", ["", "x", "W10", "WyIAIiwiXHUwMDAwIl0", "W251bGxd", "é", "A" * 5_000])
async def test_what_no_list_gave_is_no_cursor(reader: asyncpg.Connection, name: str, cursor: str) -> None:
    with pytest.raises(BadCursor):
        await LISTS[name][0](reader, large(CONTACTS, NOW), SIZE, cursor)
