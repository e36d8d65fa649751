"""Rows of the batch outbox: what is stored is read back byte for byte."""

from datetime import UTC
from typing import Final

from asyncpg import Pool
from hypothesis import given
from hypothesis import strategies as st

from workers.records import Event
from workers.store.batch_outbox import pack, unpack

HEADERS = st.lists(st.tuples(st.text(max_size=9), st.none() | st.binary(max_size=9)), max_size=2).map(tuple)
FACTS = st.builds(
    Event,
    topic=st.sampled_from(["messages.accepted", "dead.letters"]),
    key=st.none() | st.binary(max_size=40),
    value=st.none() | st.binary(max_size=2_000),
    ce_id=st.uuids(),
    workspace_id=st.text(max_size=10),
    time=st.datetimes(timezones=st.just(UTC)),
    traceparent=st.none() | st.binary(max_size=55),
    headers=HEADERS,
)


@given(st.lists(FACTS, max_size=20))
def test_what_is_stored_comes_back_byte_for_byte(facts: list[Event]) -> None:
    assert unpack(pack(facts)) == facts


async def test_vacuum_leaves_the_pages_of_what_was_owed(pool: Pool) -> None:
    """Giving them back would lock everybody out, and what is planned without any reads all that comes."""
    await pool.execute("ALTER TABLE batch_outbox SET (autovacuum_enabled = off)")
    # Beyond 2 kB the content goes to a table of its own.
    await pool.execute(
        "INSERT INTO batch_outbox (topic, partition, next_offset, events) "
        "SELECT 'messages.inbound', 0, n, decode(repeat('00', n * 100), 'hex') FROM generate_series(1, 100) n"
    )
    before = await pool.fetchval(PAGES)
    await pool.execute("DELETE FROM batch_outbox")
    await pool.execute("VACUUM batch_outbox")
    assert await pool.fetchval(PAGES) == before
    assert min(before) > 0


PAGES: Final = """
    SELECT array_agg(pg_relation_size(table_) ORDER BY table_)
    FROM pg_class, unnest(ARRAY[oid, reltoastrelid]) AS table_ WHERE relname = 'batch_outbox' AND relkind = 'r'
"""
