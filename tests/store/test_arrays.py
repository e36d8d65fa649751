"""Arrays as parameters for PostgreSQL."""

import pytest
from asyncpg import Pool
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workers.store.arrays import columns, literal

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(TEXT | st.none(), max_size=20))
async def test_texts_arrive_as_they_are(pool: Pool, texts: list[str | None]) -> None:
    assert await pool.fetchval("SELECT $1::text::text[]", literal(texts)) == texts


@pytest.mark.parametrize("text", ["", "NULL", '"', "\\", '\\"', "{}", "a,b", "{a}", " ", "\n", "'"])
async def test_what_means_something_in_an_array_is_only_text(pool: Pool, text: str) -> None:
    assert await pool.fetchval("SELECT $1::text::text[]", literal([text, text])) == [text, text]


def test_rows_become_columns() -> None:
    assert columns([("a", 1), ("b", 2)], 2) == [["a", "b"], [1, 2]]
    assert columns([], 2) == [[], []]
