"""Hot tables are vacuumed early. docs/operations.md says so."""

from typing import Final

from asyncpg import Pool

OPTIONS: Final = """
    SELECT c.relname, coalesce(c.reloptions, '{}') FROM pg_class c
    WHERE c.relnamespace = 'sluice_core'::regnamespace AND c.relkind = 'r'
"""
WAITING: Final = {
    *("batch_outbox", "outbox", "unpublished_contacts", "unpublished_cycles", "inbox_news", "pending_work"),
    *("parked_receipts", "alert_checks"),
}
"""What waits in line in them is soon gone."""
LARGE: Final = {"sends", "send_attempts", "contacts", "identities", "inbox_rows", "workflow_runs"}


async def test_lines_are_vacuumed_by_number_and_never_truncated(pool: Pool) -> None:
    options = dict(await pool.fetch(OPTIONS))
    for table in WAITING:
        assert {
            "autovacuum_vacuum_scale_factor=0",
            "autovacuum_vacuum_threshold=1000",
            "vacuum_truncate=false",
        } <= set(options[table]), table


async def test_large_tables_that_change_are_vacuumed_before_a_fifth_is_dead(pool: Pool) -> None:
    options = dict(await pool.fetch(OPTIONS))
    for table in LARGE:
        assert "autovacuum_vacuum_scale_factor=0.05" in options[table], table
