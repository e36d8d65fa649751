"""Contacts are found by an address, and by a part of a name, number or e-mail address."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from asyncpg import Pool

from tests.support.databases import Databases
from tests.workers.asking import ask, by_phone, contact_of, give, rows
from tests.workers.ingesting import ingest
from tests.workers.records import message
from workers.contacts import changes_topic
from workers.store.pool import pool_of

ANA, BOB, EVE = "+4915112345678", "+4915187654321", "+491627777777"


async def search(pool: Pool, query: str, n: int = 20) -> list[str]:
    found = await rows(pool, "SELECT display_name FROM sluice.search_contacts('acme', $1, $2)", query, n)
    return [name for [name] in found]


async def publish(pool: Pool) -> None:
    async with pool.acquire() as tx, tx.transaction():
        while current := await changes_topic.load(tx, 1000):
            await changes_topic.clear(tx, current)


async def meet(pool: Pool, *, published: bool = True) -> None:
    await ingest(
        pool,
        message(ANA, name="Ana Lovelace"),
        message(BOB, name="Борис Лавлейс"),
        message("ana.l@Example.org", channel="email", name="Zoe"),
        message("@Eve", channel="telegram", name="Eve"),
        message(EVE, name="Blocked"),
        message(ANA, name="Elsewhere", workspace_id="other"),
    )
    await give(pool, ask("block_contact", identity=by_phone(EVE), minutes=1))
    if published:
        await publish(pool)


async def test_an_address_finds_its_contact_alone_however_it_is_typed(pool: Pool) -> None:
    await meet(pool)
    for typed in (ANA, "+49 151 12345678", "49 (151) 123-45678", f" {ANA} ", str(await contact_of(pool, ANA))):
        assert await search(pool, typed) == ["Ana Lovelace"]
    for typed in ("ana.l@example.org", "ANA.L@example.ORG"):
        assert await search(pool, typed) == ["Zoe"]
    assert await search(pool, "@Eve") == ["Eve"]


async def test_an_address_in_a_field_finds_its_contact_alone(pool: Pool) -> None:
    await ingest(pool, message(ANA, name="Ana"), message(BOB, name="Not ana@example.org"))
    await rows(pool, "UPDATE contacts SET email = 'Ana@Example.org' WHERE phone = $1 RETURNING 1", ANA)
    assert await search(pool, "ana@example.org") == ["Ana"]
    assert await search(pool, "example.org") == ["Ana", "Not ana@example.org"]


@pytest.mark.parametrize("published", [True, False])
async def test_a_part_of_a_name_number_or_address_finds_contacts_by_name(pool: Pool, published: bool) -> None:  # noqa: FBT001
    await meet(pool, published=published)
    expected: dict[str, list[str]] = {
        "LOVE": ["Ana Lovelace"],
        "лавл": ["Борис Лавлейс"],
        "л": ["Борис Лавлейс"],
        "ana": ["Ana Lovelace", "Zoe"],
        "e": ["Eve", "Ana Lovelace", "Zoe"],
        "5678": ["Ana Lovelace"],
        "567": [],
        "%": [],
        "nobody": [],
    }
    assert {query: await search(pool, query) for query in expected} == expected
    assert await search(pool, "", 2) == ["Ana Lovelace", "Eve"]
    assert await search(pool, "ana", 1) == ["Ana Lovelace"]


async def test_a_contact_is_found_by_what_it_is_called_now(pool: Pool) -> None:
    await meet(pool)
    ana = by_phone(ANA)
    renamed = ask("update_contact", identity=ana, set={"last_name": "Babbage", "email": "x@y.example"}, minutes=2)
    for published in (False, True):
        await give(pool, renamed)
        if published:
            await publish(pool)
        assert await search(pool, "babb") == await search(pool, "y.exam") == ["Ana Lovelace"]
    await give(pool, ask("block_contact", identity=ana, minutes=3))
    assert await search(pool, "babb") == []
    await publish(pool)
    assert await search(pool, "babb") == []
    await give(pool, ask("unblock_contact", identity=ana, minutes=4))
    assert await search(pool, "babb") == ["Ana Lovelace"]
    await publish(pool)
    assert await search(pool, "babb") == ["Ana Lovelace"]


async def test_who_is_blocked_is_not_found(pool: Pool) -> None:
    await meet(pool)
    assert [await search(pool, query) for query in ("Blocked", EVE)] == [[], []]


async def test_what_is_found_is_shown_as_in_the_list(pool: Pool) -> None:
    await meet(pool)
    found: list[Any] = await rows(pool, "SELECT * FROM sluice.search_contacts('acme', 'lovelace', 5)")
    listed = "SELECT * FROM sluice.contact_list WHERE workspace_id = 'acme' AND display_name = 'Ana Lovelace'"
    assert found == await rows(pool, listed)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def crowd(databases: Databases) -> AsyncIterator[Pool]:
    """More contacts than a search reads by name, most of them before the others."""
    people = """
        WITH made AS (
            INSERT INTO contacts (workspace_id, contact_id, display_name, phone, email)
            SELECT workspace, gen_random_uuid(), name, phone, email FROM (
                SELECT 'acme' AS workspace, 'Aaa Same ' || n AS name, '+4930' || n AS phone,
                    'info@same.example' AS email
                FROM generate_series(10000, 11200) n
                UNION ALL VALUES
                    ('acme', '李小龙', '+8613800138000', 'bruce@example.org'),
                    ('acme', 'Zoë Ålund', NULL, NULL),
                    ('acme', 'Xu Li', '+8613900139000', 'xu.li@example.com'),
                    ('acme', 'Z' || repeat('y', 511), NULL, NULL),
                    ('acme', NULL, '+8613700137000', 'nobody@example.net'),
                    ('other', 'Xu Li Elsewhere', '+8613900139001', NULL)
            ) AS made (workspace, name, phone, email)
            RETURNING *
        )
        INSERT INTO unpublished_contacts SELECT workspace_id, contact_id, revision FROM made RETURNING 1
    """
    async with databases.migrated() as url, pool_of(url, name="test") as pool:
        await pool.execute("INSERT INTO sluice_core.workspaces VALUES ('acme'), ('other')")
        await rows(pool, people)
        await publish(pool)
        yield pool


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("龙", ["李小龙"]),
        ("小龙", ["李小龙"]),
        ("李小龙", ["李小龙"]),
        ("zoe\u0308 a\u030alu", ["Zoë Ålund"]),
        ("Ë", ["Zoë Ålund"]),
        ("xu.l", ["Xu Li"]),
        ("u li", ["Xu Li"]),
        ("xu", ["Xu Li"]),
        ("139001", ["Xu Li"]),
        ("(1390) 0139", ["Xu Li"]),
        ("uce@", ["李小龙"]),
        ("y" * 300, ["Z" + "y" * 511]),
        ("z" + "y" * 300, ["Z" + "y" * 511]),
        ("nobody", [None]),
        ("xux", []),
    ],
)
async def test_whoever_has_the_part_is_found_among_many(crowd: Pool, query: str, expected: list[str | None]) -> None:
    assert await search(crowd, query) == expected


@pytest.mark.asyncio(loop_scope="module")
async def test_of_what_very_many_have_a_page_is_found(crowd: Pool) -> None:
    for query in ("same", "e.exam", "4930", "info@same.example", "aa", "a"):
        assert len(await search(crowd, query, 30)) == 30
    assert await search(crowd, "same", 2) == ["Aaa Same 10000", "Aaa Same 10001"]
    assert len(await search(crowd, "same", 1000)) == 1000
