"""What is proven of a count, and what it can still come to."""

from datetime import UTC, datetime

from asyncpg import Pool

from tests.workers.ingesting import ingest, rows
from tests.workers.records import at, message

BOUNDS = "SELECT workspace_id, at_least, at_most, as_of FROM mac_bounds ORDER BY workspace_id"
MARCH = datetime(2026, 3, 1, tzinfo=UTC)
APPLIED = """
    INSERT INTO progress (topic, partition, consumer_group, generation, next_offset)
    VALUES ('messages.inbound', 0, 'g', 1, 5), ('messages.inbound', 1, 'g', 1, 9), ('contacts.commands', 0, 'g', 1, 0)
"""
ENDS = """
    INSERT INTO input_ends (topic, partition, end_offset, read_at) VALUES ('messages.inbound', 0, 8, $1),
        ('messages.inbound', 1, 7, $1), ('messages.receipts', 0, 20, $2), ('contacts.commands', 0, 100, $3)
"""


async def test_a_count_can_grow_by_what_is_unread_of_messages_and_receipts(pool: Pool) -> None:
    await ingest(pool, message(), message("+4915100000002"), message(workspace_id="closed"))
    await pool.execute("UPDATE mac_cycles SET status = 'closed', closed_at = $1 WHERE workspace_id = 'closed'", at(7))
    await pool.execute(APPLIED)
    assert await rows(pool, BOUNDS) == [("acme", 2, None, None), ("closed", 1, 1, at(7))]

    # 3 of the first partition; the second one is applied beyond the end that was read; nothing of the receipts is.
    await pool.execute(ENDS, at(60), at(50), at(1))
    assert await rows(pool, BOUNDS) == [("acme", 2, 25, at(50)), ("closed", 1, 1, at(7))]
    assert await rows(pool, "SELECT cycle_start FROM mac_bounds WHERE workspace_id = 'acme'") == [(MARCH,)]
