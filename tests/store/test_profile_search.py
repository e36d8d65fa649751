"""Profiles are found by any part of their name, in any script."""

from collections.abc import Sequence

from asyncpg import Pool
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.workers.asking import ask, give, rows
from workers.rules.profile_book import name_key

SEARCH = "SELECT name FROM sluice.search_profiles($1, $2, $3)"
NAMES = (
    *("Ada Lovelace", "Lovelace Ltd", "Charles Babbage", "ada", "Адамс и сыновья", "Ελληνική Εταιρεία", "王小明商店"),
    *("日本郵便株式会社", "Müller AG", "شركة النور", "ไทยพาณิชย์", "A% of_b", "é", "🎈 Balloons"),
)


async def search(pool: Pool, query: str, n: int = 20, workspace_id: str = "acme") -> list[str]:
    return [name for [name] in await rows(pool, SEARCH, workspace_id, query, n)]


async def make(pool: Pool, names: Sequence[str], workspace_id: str = "acme") -> None:
    await give(pool, *(ask("create_profile", name=name, workspace_id=workspace_id) for name in names))


EXPECTED: tuple[tuple[str, list[str]], ...] = (
    ("love", ["Lovelace Ltd", "Ada Lovelace"]),
    ("LOVE", ["Lovelace Ltd", "Ada Lovelace"]),
    ("  babb ", ["Charles Babbage"]),
    ("ada", ["ada", "Ada Lovelace"]),
    ("дам", ["Адамс и сыновья"]),
    ("εται", ["Ελληνική Εταιρεία"]),
    ("小", ["王小明商店"]),
    ("郵便", ["日本郵便株式会社"]),
    ("müll", ["Müller AG"]),
    ("mu\u0308ll", ["Müller AG"]),
    ("النور", ["شركة النور"]),
    ("พาณิ", ["ไทยพาณิชย์"]),
    ("%", ["A% of_b"]),
    ("f_b", ["A% of_b"]),
    ("é", ["é"]),
    ("🎈", ["🎈 Balloons"]),
    ("g", ["Charles Babbage", "Müller AG"]),
    ("nobody", []),
)


async def test_any_part_of_a_name_in_any_script_finds_it_what_begins_with_it_first(pool: Pool) -> None:
    await make(pool, NAMES)
    for query, expected in EXPECTED:
        assert await search(pool, name_key(query)) == expected
        assert await search(pool, query) == expected


async def test_an_empty_query_finds_all_by_name(pool: Pool) -> None:
    await make(pool, NAMES)
    assert await search(pool, "") == sorted(NAMES, key=name_key)
    assert await search(pool, "", 2) == ["A% of_b", "ada"]
    assert await search(pool, "a", -1) == []


async def test_only_the_workspace_is_searched_and_no_deleted_profile(pool: Pool) -> None:
    await make(pool, ["Ada"], "other")
    await give(pool, ask("create_profile", name="Ada of acme", profile_id="p-1"))
    assert await search(pool, "da") == ["Ada of acme"]
    await give(pool, ask("delete_profile", profile_id="p-1", minutes=1))
    assert await search(pool, "da") == []


async def test_a_renamed_profile_is_found_by_its_new_name_alone(pool: Pool) -> None:
    await give(pool, ask("create_profile", name="Ada", profile_id="p-1"))
    await give(pool, ask("update_profile", minutes=1, profile_id="p-1", set={"name": "Babbage"}))
    assert await search(pool, "abb") == ["Babbage"]
    assert await search(pool, "ada") == []


async def test_what_is_found_says_what_protects_it_and_how_many_contacts_it_has(pool: Pool) -> None:
    await give(
        pool,
        ask("define_status", name="vip", protected=True),
        ask("create_profile", name="Ada", profile_id="p-1"),
        ask("set_profile_status", profile_id="p-1", status="vip"),
    )
    found = await rows(pool, "SELECT * FROM sluice.search_profiles('acme', 'ada', 1)")
    assert found == [("acme", "p-1", "Ada", "vip", [], True, ["status_protected"], 0)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
async def test_every_part_of_a_name_finds_it(pool: Pool, data: st.DataObject) -> None:
    name = data.draw(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)
    )
    key = name_key(name)
    if not key:
        return
    start = data.draw(st.integers(0, len(key) - 1))
    part = key[start : data.draw(st.integers(start + 1, len(key)))]
    await make(pool, [name])
    # The query is trimmed, and what is left of it may be lowered by the database.
    found = await rows(pool, "SELECT name FROM sluice.search_profiles('acme', $1, 1000)", part)
    assert (name,) in found or part.strip() != part or part.lower() != part
