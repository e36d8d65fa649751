"""What readers ask first reads no more than it shows, in a large workspace and in a small one, by any plan they get."""

import re
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Final

import asyncpg
import pytest
import pytest_asyncio

from benchmarks.reading.asking import Place, Question, large, small
from benchmarks.reading.data import scripts
from benchmarks.reading.questions import QUESTIONS
from tests.support.databases import Databases

CONTACTS: Final = 10_000
NOW: Final = datetime.now(UTC)
MOST: Final = 1_000
MOST_OF: Final[Mapping[str, int]] = {
    "search": 8_000,  # the first 1,000 names, and 1,000 of those that have it elsewhere
    "profiles": 2_500,  # five profiles for each protected one, with their status and companies
    "impact of a deletion of all": 15_000,  # 10,001 contacts, and what the first 500 have
    "impact of a protected": 6_000,
    "active by day": 3_000,  # the quarters of a month
}
READ: Final = """
    SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0) FROM pg_stat_xact_all_tables
    WHERE schemaname = 'sluice_core'
"""
# What is small or what only workers and operators ask.
NOT_ASKED: Final = {
    *("channels", "companies", "profile_statuses", "tags", "field_definitions", "settings_in_effect"),
    *(
        "migrations",
        "partitions",
        "workers",
        "jobs",
        "partition_progress",
        "backlog",
        "dead_letters",
        "pending_work",
        "claim_send",
    ),
    *("join_senders", "leave_senders"),
    *(
        "dead_letter",
        "dead_letter_settle",
        "command_results",
        "message_conflicts",
        "mac_proofs",
        "mac_accounts",
    ),
    *("closing_delays", "counting_again", "audit_log"),
    "mac_bounds",
    *("verifications", "verification_round", "verify_workspace", "verify_cycles", "verify_figures", "verify_quarters"),
    *("verify_merges", "verify_homes"),
    *("verify_contacts", "verify_until"),
}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reader(databases: Databases) -> AsyncIterator[asyncpg.Connection]:
    """A connection as sluice_reader to filled tables."""
    async with databases.migrated() as url:
        for script in scripts(CONTACTS, 2 * CONTACTS, 2_000, 20, NOW.isoformat()):
            filling = await asyncpg.connect(url)
            await filling.execute(script)
            await filling.execute("ANALYZE")
            await filling.close()
        settings = {"role": "sluice_reader", "plan_cache_mode": "force_custom_plan", "random_page_cost": "1.1"}
        connection = await asyncpg.connect(url, server_settings=settings)
        yield connection
        await connection.close()


async def test_every_question_reads_few_rows(reader: asyncpg.Connection) -> None:
    too_many = {}
    for question in QUESTIONS:
        most = next((n for name, n in MOST_OF.items() if question.name.startswith(name)), MOST)
        for place in (large(CONTACTS, NOW), small(NOW)):
            for call in range(3):
                read = await rows_read(reader, question, place, call)
                if read > most:
                    too_many[question.name, place.workspace] = read
    assert too_many == {}


async def rows_read(reader: asyncpg.Connection, question: Question, place: Place, call: int) -> int:
    async with reader.transaction():
        before = await reader.fetchval(READ)
        await reader.fetch(question.statement, *question.values(place, call))
        return int(await reader.fetchval(READ) - before)


async def test_every_view_and_function_of_readers_is_asked(reader: asyncpg.Connection) -> None:
    public = """
        SELECT table_name::text FROM information_schema.views WHERE table_schema = 'sluice'
        UNION SELECT proname::text FROM pg_proc WHERE pronamespace = 'sluice'::regnamespace
    """
    asked = {name for q in QUESTIONS for name in re.findall(r"sluice\.(\w+)", q.statement)}
    assert {row[0] for row in await reader.fetch(public)} - NOT_ASKED == asked
