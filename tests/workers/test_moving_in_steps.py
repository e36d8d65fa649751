"""A removal that comes later than very many messages: who has the address is settled, and they follow in steps."""

from typing import Any

import pytest
from asyncpg import Pool

from tests.workers.asking import ask, by_phone, contact_of, give, rows
from tests.workers.erasing import erase, traces
from tests.workers.ingesting import ingest
from tests.workers.records import at, message
from tests.workers.stepping import at_most, steps

ANA, BOB = "+4915112345678", "+4915187654321"
WHO: dict[str, Any] = {"identity": by_phone(ANA)}
SHOWN = """
    SELECT string_agg(content ->> 'text', ' ' ORDER BY event_time) FROM sluice.conversation_messages
    GROUP BY contact_id ORDER BY min(event_time)
"""
LEFT = "SELECT kind, done, total FROM sluice.pending_work"
COUNTS = "SELECT active_contacts FROM sluice.mac_counts ORDER BY cycle_start"


async def talk(pool: Pool, monkeypatch: pytest.MonkeyPatch, *minutes: int) -> None:
    """Messages of these minutes from one address, with the minutes as texts; a transaction moves three."""
    await ingest(pool, *(message(ANA, minutes=n, text=str(n), name=f"Name {n}") for n in minutes))
    at_most(monkeypatch, 3)


async def conversations(pool: Pool) -> list[str]:
    return [texts for (texts,) in await rows(pool, SHOWN)]


async def test_the_rest_follows_in_steps(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    await talk(pool, monkeypatch, *range(0, 20, 2))
    await give(pool, ask("remove_channel", minutes=5, **WHO))
    assert await conversations(pool) == ["0 2 4 12 14 16 18", "6 8 10"]
    assert await rows(pool, LEFT) == [("move messages", 3, 7)]

    await ingest(pool, message(ANA, minutes=21, text="21"), message(ANA, minutes=1, text="1"))
    await steps(pool)
    assert await rows(pool, LEFT) == [("move messages", 6, 7)]
    await steps(pool)

    assert await rows(pool, LEFT) == []
    assert await conversations(pool) == ["0 1 2 4", "6 8 10 12 14 16 18 21"]
    shown = "SELECT display_name, conversation_status FROM sluice.contact_overview ORDER BY 1"
    assert await rows(pool, shown) == [("Name 18", "open"), ("Name 4", "open")]
    connected = "SELECT connected_at FROM sluice.contact_channels WHERE connected_at IS NOT NULL"
    assert await rows(pool, connected) == [(at(6),)]
    assert await rows(pool, COUNTS) == [(2,)]


async def test_another_removal_comes_while_steps_are_left(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    await talk(pool, monkeypatch, *range(0, 40, 2))
    await give(pool, ask("remove_channel", minutes=11, **WHO))
    await give(pool, ask("remove_channel", minutes=21, **WHO))
    await steps(pool, 100)

    assert await rows(pool, LEFT) == []
    assert await conversations(pool) == ["0 2 4 6 8 10", "12 14 16 18 20", "22 24 26 28 30 32 34 36 38"]


async def test_a_block_that_moves_the_end_comes_while_steps_are_left(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await talk(pool, monkeypatch, *range(0, 40, 2))
    ana = await contact_of(pool, ANA)
    await give(pool, ask("remove_channel", minutes=11, **WHO))
    await steps(pool)
    await give(pool, ask("block_contact", minutes=9, contact_id=str(ana)))
    await give(pool, ask("unblock_contact", minutes=15, contact_id=str(ana)))
    await steps(pool, 100)

    assert await rows(pool, LEFT) == []
    assert await conversations(pool) == ["0 2 4 6 8", "16 18 20 22 24 26 28 30 32 34 36 38"]
    dropped = "SELECT event_time, contact_id FROM sluice.drop_ledger ORDER BY 1"
    assert await rows(pool, dropped) == [(at(n), ana) for n in (10, 12, 14)]


@pytest.mark.parametrize("taken", [0, 1])
async def test_who_gives_or_takes_them_is_deleted_meanwhile(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    await talk(pool, monkeypatch, *range(0, 20, 2))
    await give(pool, ask("remove_channel", minutes=5, **WHO))
    people = "SELECT contact_id FROM sluice.conversation_messages GROUP BY 1 ORDER BY min(event_time)"
    gone = (await rows(pool, people))[taken]
    await give(pool, ask("delete_contacts", minutes=15, contact_ids=gone, expected_count=1))
    await steps(pool, 100)
    await erase(pool)

    kept = ["6 8 10 12 14 16 18"] if taken == 0 else ["0 2 4", "16 18"]
    assert await conversations(pool) == kept
    assert len(await traces(pool, *(f"Name {n}" for n in (6, 8, 10, 12, 14)))) == (0 if taken else 5)
    assert await rows(pool, LEFT) == []


async def test_who_gives_them_is_merged_meanwhile(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    await talk(pool, monkeypatch, *range(0, 20, 2))
    await give(pool, ask("remove_channel", minutes=5, **WHO))
    await ingest(pool, message(BOB, minutes=3, text="3"))
    people = "SELECT contact_id::text FROM sluice.conversation_messages GROUP BY 1 ORDER BY min(event_time)"
    [(ana,), (bob,), _] = await rows(pool, people)
    await give(pool, ask("merge_contacts", minutes=25, survivor_id=bob, loser_id=ana))
    await steps(pool, 100)

    assert await conversations(pool) == ["0 2 3 4", "6 8 10 12 14 16 18"]
    assert await rows(pool, COUNTS) == [(2,)]
