"""Contacts are found by an address, and by a part of a name, number or e-mail address."""

from typing import Any

from asyncpg import Pool

from tests.workers.asking import ask, by_phone, contact_of, give, rows
from tests.workers.ingesting import ingest
from tests.workers.records import message

ANA, BOB, EVE = "+4915112345678", "+4915187654321", "+491627777777"


async def search(pool: Pool, query: str, n: int = 20) -> list[str]:
    found = await rows(pool, "SELECT display_name FROM sluice.search_contacts('acme', $1, $2)", query, n)
    return [name for [name] in found]


async def meet(pool: Pool) -> None:
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


async def test_a_part_of_a_name_number_or_address_finds_contacts_by_name(pool: Pool) -> None:
    await meet(pool)
    expected: dict[str, list[str]] = {
        "LOVE": ["Ana Lovelace"],
        "лавл": ["Борис Лавлейс"],
        "ana": ["Ana Lovelace", "Zoe"],
        "5678": ["Ana Lovelace"],
        "567": [],
        "%": [],
        "nobody": [],
    }
    assert {query: await search(pool, query) for query in expected} == expected
    assert await search(pool, "", 2) == ["Ana Lovelace", "Eve"]
    assert await search(pool, "ana", 1) == ["Ana Lovelace"]


async def test_who_is_blocked_is_not_found(pool: Pool) -> None:
    await meet(pool)
    assert [await search(pool, query) for query in ("Blocked", EVE)] == [[], []]


async def test_what_is_found_is_shown_as_in_the_list(pool: Pool) -> None:
    await meet(pool)
    found: list[Any] = await rows(pool, "SELECT * FROM sluice.search_contacts('acme', 'lovelace', 5)")
    listed = "SELECT * FROM sluice.contact_list WHERE workspace_id = 'acme' AND display_name = 'Ana Lovelace'"
    assert found == await rows(pool, listed)
