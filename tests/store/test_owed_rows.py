"""Rows of the batch outbox: what is stored comes back byte for byte."""

import zlib
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import msgspec
from asyncpg import Pool
from hypothesis import given
from hypothesis import strategies as st

from workers.runtime.batch import Fact
from workers.store.owed import pack, unpack

HEADERS = st.lists(st.tuples(st.text(max_size=9), st.none() | st.binary(max_size=9)), max_size=2).map(tuple)
FACTS = st.builds(
    Fact,
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
def test_what_is_stored_comes_back_byte_for_byte(facts: list[Fact]) -> None:
    assert unpack(pack(facts)) == facts


def test_rows_of_earlier_releases_are_still_read() -> None:
    facts = [Fact("messages.accepted", b"k", b"v" * 600, UUID(int=7), "acme", datetime(2026, 3, 1, tzinfo=UTC))]
    raw = msgspec.msgpack.Encoder(uuid_format="bytes").encode([tuple(msgspec.structs.astuple(fact)) for fact in facts])
    assert unpack(b"\1" + zlib.compress(raw, 1)) == facts


async def test_vacuum_leaves_the_pages_of_what_was_owed(pool: Pool) -> None:
    """Giving them back would lock everybody out, and what is planned without any reads all that comes."""
    await pool.execute("ALTER TABLE owed SET (autovacuum_enabled = off)")
    # Beyond 2 kB the content goes to a table of its own.
    await pool.execute(
        "INSERT INTO owed (topic, partition, next_offset, outputs) "
        "SELECT 'messages.inbound', 0, n, decode(repeat('00', n * 100), 'hex') FROM generate_series(1, 100) n"
    )
    before = await pool.fetchval(PAGES)
    await pool.execute("DELETE FROM owed")
    await pool.execute("VACUUM owed")
    assert await pool.fetchval(PAGES) == before
    assert min(before) > 0


PAGES: Final = """
    SELECT array_agg(pg_relation_size(table_) ORDER BY table_)
    FROM pg_class, unnest(ARRAY[oid, reltoastrelid]) AS table_ WHERE relname = 'owed' AND relkind = 'r'
"""
