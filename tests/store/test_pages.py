"""Pages of conversations and of profiles: they show what the views show, and read no more than they show."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final
from uuid import UUID

import pytest
import pytest_asyncio
from asyncpg import Pool

from tests.store.storing import seal, turn
from tests.support.databases import Databases
from tests.workers.records import DAY
from workers.store.pool import pool_of

ANNA, BEN, CLARA = (UUID(int=n) for n in (1, 2, 3))
PEOPLE: Final = """
INSERT INTO contacts (workspace_id, contact_id, profile_id) VALUES
    ('acme', $1, 'p-1'), ('acme', $2, 'p-1'), ('acme', $3, 'p-2'), ('other', $1, 'p-1')
"""
IDENTITIES: Final = """
INSERT INTO identities (workspace_id, channel, scope, lookup, address, contact_id)
SELECT c.workspace_id, channel, '', contact_id || channel, '', contact_id
FROM contacts c, unnest(ARRAY['whatsapp', 'sms']) AS channel
RETURNING identity_id
"""
MESSAGES: Final = """
INSERT INTO messages (generation, workspace_id, message_id, identity_id, channel_id, channel, kind, event_time,
    drop_reason, counted, content_digest, body)
SELECT m.generation, i.workspace_id, m.message_id, i.identity_id, 'c', i.channel, m.kind, m.event_time,
    m.drop_reason, true, 1,
    json_build_object('content', json_build_object('text', m.message_id, 'attachments', json_build_array(1)))
FROM unnest($1::int[], $2::uuid[], $3::bigint[], $4::text[], $5::timestamptz[], $6::text[])
    AS m (generation, message_id, identity_id, kind, event_time, drop_reason) JOIN identities i USING (identity_id)
"""
SENDS: Final = """
INSERT INTO sends (workspace_id, send_id, contact_id, channel, channel_id, content, source, requested_by,
    requested_role, requested_at, status, attempt, message_id, first_dispatched_at, accepted_at, applied_at, updated_at)
SELECT 'acme', s.id, s.contact_id, 'sms', 'c', '{"text": "sent"}', 'inbox', 'ann', 'agent', now(), s.status,
    s.attempt, s.id, s.at, s.accepted, now(), now()
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::int[], $5::timestamptz[], $6::timestamptz[])
    AS s (id, contact_id, status, attempt, at, accepted)
"""
GENERATIONS: Final = 5
KINDS: Final = ("message", "message", "reaction", "echo")

pytestmark = pytest.mark.asyncio(loop_scope="module")


def columns(found: list[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*found, strict=True)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool(databases: Databases) -> AsyncIterator[Pool]:
    """Messages of three people in several generations, mostly in the order of their event times, many at one time."""
    random = Random(7)  # noqa: S311
    async with databases.migrated() as url, pool_of(url, name="test", max_size=1) as pool:
        await pool.execute(PEOPLE, ANNA, BEN, CLARA)
        identities = [row["identity_id"] for row in await pool.fetch(IDENTITIES)]
        for generation in range(GENERATIONS):
            if generation:
                assert await turn(pool)
                assert generation == 4 or await seal(pool)
            found = [message(random, generation, identities) for _ in range(150)]
            await pool.execute(MESSAGES, *columns(found))
        await pool.execute(SENDS, *columns([send(random) for _ in range(60)]))
        yield pool


def message(random: Random, generation: int, identities: list[int]) -> tuple[Any, ...]:
    late = random.random() < 0.1
    minutes = random.randrange(200) if late else generation * 40 + random.randrange(40)
    dropped = "contact_blocked" if random.random() < 0.2 else None
    id_, identity = UUID(int=random.getrandbits(128)), random.choice(identities)
    return generation, id_, identity, random.choice(KINDS), minute(minutes), dropped


def send(random: Random) -> tuple[Any, ...]:
    at = minute(random.randrange(250))
    status, attempt, dispatched, accepted = random.choice(
        [("failed", 2, at, None), ("dispatched", 1, at, None), ("held", 0, None, None), ("sent", 1, at, at)]
    )
    id_, contact = UUID(int=random.getrandbits(128)), random.choice((ANNA, BEN, CLARA))
    return id_, contact, status, attempt, dispatched, accepted


def minute(number: int) -> datetime:
    return DAY + timedelta(minutes=number)


async def paged(pool: Pool, query: str, key: object, size: int) -> list[Any]:
    """All pages, one after the other."""
    found: list[Any] = []
    before: tuple[datetime | None, UUID | None] = (None, None)
    while page := await pool.fetch(query, key, *before, size):
        assert len(page) <= size
        found += page
        before = (page[-1]["event_time"], page[-1]["message_id"])
    return found


CONVERSATION: Final = "SELECT * FROM sluice.conversation_page('acme', $1, $2, $3, $4)"
PROFILE: Final = "SELECT * FROM sluice.profile_page('acme', $1, $2, $3, $4)"


@pytest.mark.parametrize("size", [1, 7, 50, 1000])
@pytest.mark.parametrize("contact", [ANNA, BEN, CLARA])
async def test_the_pages_of_a_conversation_show_what_the_view_shows_newest_first(
    pool: Pool, contact: UUID, size: int
) -> None:
    view = """SELECT * FROM sluice.conversation_messages WHERE workspace_id = 'acme' AND contact_id = $1
        ORDER BY event_time DESC, message_id DESC"""
    shown = await pool.fetch(view, contact)
    assert len(shown) > 100
    assert {row["kind"] for row in shown} == {"message", "reaction", "echo", "send"}
    assert await paged(pool, CONVERSATION, contact, size) == shown


@pytest.mark.parametrize("size", [7, 1000])
@pytest.mark.parametrize("profile", ["p-1", "p-2"])
async def test_the_pages_of_a_profile_show_the_conversations_of_its_contacts(
    pool: Pool, profile: str, size: int
) -> None:
    view = """SELECT * FROM sluice.profile_moments WHERE workspace_id = 'acme' AND profile_id = $1
        ORDER BY event_time DESC, message_id DESC"""
    shown = await pool.fetch(view, profile)
    assert {row["contact_id"] for row in shown} == ({ANNA, BEN} if profile == "p-1" else {CLARA})
    assert {row["attachments"] for row in shown} == {"[1]", None}
    assert await paged(pool, PROFILE, profile, size) == shown


async def test_a_page_before_a_moment_shows_what_is_older(pool: Pool) -> None:
    [row, *_] = found = await pool.fetch(CONVERSATION, ANNA, minute(100), None, 1000)
    assert row["event_time"] < minute(100)
    whole = await pool.fetch(CONVERSATION, ANNA, None, None, 1000)
    assert found == [row for row in whole if row["event_time"] < minute(100)]


@pytest.mark.parametrize("size", [-1, 0, None])
async def test_a_page_of_no_rows_has_none(pool: Pool, size: int | None) -> None:
    assert await pool.fetch(CONVERSATION, ANNA, None, None, size) == []


async def test_a_page_has_a_thousand_rows_at_most(pool: Pool) -> None:
    async with pool.acquire() as connection, undone(connection):
        identity = await connection.fetchval("SELECT min(identity_id) FROM identities WHERE contact_id = $1", CLARA)
        many = [(0, UUID(int=n), identity, "message", minute(n), None) for n in range(1100)]
        await connection.execute(MESSAGES, *columns(many))
        assert len(await connection.fetch(CONVERSATION, CLARA, None, None, 5000)) == 1000


async def test_nobody_else_is_on_a_page(pool: Pool) -> None:
    assert await pool.fetch(CONVERSATION, UUID(int=9), None, None, 10) == []
    assert await pool.fetch(PROFILE, "p-9", None, None, 10) == []
    assert await pool.fetch("SELECT * FROM sluice.conversation_page('nobody', $1, NULL, NULL, 10)", ANNA) == []


class undone:  # noqa: N801
    """A transaction that leaves nothing."""

    def __init__(self, connection: Any) -> None:
        self._transaction = connection.transaction()

    async def __aenter__(self) -> None:
        await self._transaction.start()

    async def __aexit__(self, *_: object) -> None:
        await self._transaction.rollback()


MANY: Final = """
INSERT INTO messages (generation, workspace_id, message_id, identity_id, channel_id, channel, kind, event_time,
    counted, content_digest, body)
SELECT n / 3000, 'acme', md5(n::text)::uuid, $1, 'c', 'sms', 'message', $2::timestamptz + n * interval '1 second',
    true, 1, '{}'
FROM generate_series(0, 14999) AS n
"""
READ: Final = """
SELECT relname::text, seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_all_tables
WHERE schemaname = 'sluice_core' AND relname IN ('messages', 'sends')
"""


@pytest.mark.parametrize(("query", "key"), [(CONVERSATION, CLARA), (PROFILE, "p-2")])
@pytest.mark.parametrize("before", [None, minute(100)])
async def test_a_page_reads_a_few_messages_however_many_there_are(
    pool: Pool, query: str, key: object, before: datetime | None
) -> None:
    async with pool.acquire() as connection, undone(connection):
        identity = await connection.fetchval("SELECT min(identity_id) FROM identities WHERE contact_id = $1", CLARA)
        await connection.execute(MANY, identity, DAY)
        sends = [(UUID(int=n), CLARA, "failed", 1, minute(n % 100), None) for n in range(3000)]
        await connection.execute(SENDS, *columns(sends))
        await connection.execute("ANALYZE messages, sends, identities, contacts")
        was = dict(await connection.fetch(READ))
        assert len(await connection.fetch(query, key, before, None, 20)) == 20
        now = dict(await connection.fetch(READ))
    # Of each generation a page for each of two addresses at most, then the page itself.
    assert 20 <= now["messages"] - was["messages"] < 20 * (2 * GENERATIONS + 2)
    assert now["sends"] - was["sends"] < 100
