"""The inbox follows messages, also those that were revised after everything else was published."""

from typing import Any

import pytest
from asyncpg import Pool

from tests.workers.asking import ask, by_phone, give, rows
from tests.workers.ingesting import ingest
from tests.workers.records import at, message
from tests.workers.refreshing import refresh
from tests.workers.sending import PHONE, receipt, request, send
from tests.workers.stepping import at_most, steps

LAST = "SELECT status, last_message_at, last_direction FROM sluice.inbox"
COUNTS = "SELECT status, assignee, contacts FROM sluice.inbox_counts ORDER BY 1, 2"
WHO: dict[str, Any] = {"identity": by_phone(PHONE)}


async def test_a_new_contact_appears_and_its_next_messages_are_noted(pool: Pool) -> None:
    await ingest(pool, message(minutes=0))
    assert await rows(pool, LAST) == []
    await refresh(pool)
    assert await rows(pool, LAST) == [("open", at(0), "in")]
    await ingest(pool, message(minutes=5, kind="echo"))
    await ingest(pool, message(minutes=3))
    await refresh(pool)
    assert await rows(pool, LAST) == [("open", at(5), "out")]
    assert await rows(pool, "SELECT FROM inbox_news") == []


async def test_messages_that_a_step_drops_are_no_activity_any_more(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    await ingest(pool, message(minutes=0), *(message(minutes=n, kind="reaction") for n in range(1, 5)))
    at_most(monkeypatch, 1)
    await give(pool, ask("block_contact", minutes=1, **WHO), ask("unblock_contact", minutes=9, **WHO))
    await refresh(pool)
    await steps(pool, 100)
    await refresh(pool)
    assert await rows(pool, LAST) == [("closed", at(0), "in")]


async def test_a_send_that_was_accepted_earlier_than_known_moves_back(pool: Pool) -> None:
    await ingest(pool, message(minutes=0))
    await send(pool, request(minutes=10))
    await send(pool, receipt("sent", minutes=40))
    await refresh(pool)
    assert await rows(pool, LAST) == [("open", at(40), "out")]
    await send(pool, receipt("delivered", minutes=20))
    await refresh(pool)
    assert await rows(pool, LAST) == [("open", at(20), "out")]


async def test_contacts_are_counted_by_status_and_assignee(pool: Pool) -> None:
    await ingest(pool, message(minutes=0), message("+4915112345679", minutes=0))
    await refresh(pool)
    assert await rows(pool, COUNTS) == [("open", None, 2)]
    await give(pool, ask("assign_conversation", minutes=1, assignee="ann", **WHO))
    await give(pool, ask("close_conversation", minutes=2, **WHO))
    await refresh(pool)
    assert await rows(pool, COUNTS) == [("closed", "ann", 1), ("open", None, 1)]
    await give(pool, ask("delete_contacts", minutes=3, all=True, expected_count=2))
    await refresh(pool)
    assert await rows(pool, COUNTS) == await rows(pool, LAST) == []
