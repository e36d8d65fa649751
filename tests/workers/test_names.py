"""A contact has the name of its newest accepted message, whenever that was accepted or dropped."""

from datetime import datetime
from itertools import permutations
from typing import Any

import pytest
from asyncpg import Pool

from tests.store.storing import seal, turn
from tests.workers.ingesting import blocks, ingest, rows
from tests.workers.records import DAY, at, message, uuid_of
from tests.workers.stepping import at_most, steps
from workers.messages import releasing
from workers.store import contacts, messages

NAMES = "SELECT display_name, first_name, language, avatar_url FROM contact_overview"
NOBODY = (None, None, None, None)


def told(name: str) -> dict[str, Any]:
    return {"name": name, "language": f"l{name}", "avatar_url": f"https://example.org/{name}"}


def shown(name: str) -> tuple[str, ...]:
    return name, name, f"l{name}", f"https://example.org/{name}"


async def release(pool: Pool, start: datetime, end: datetime) -> None:
    async with pool.acquire() as tx, tx.transaction():
        [row] = await tx.fetch("SELECT workspace_id, contact_id FROM contacts")
        key = row["workspace_id"], row["contact_id"]
        contact = (await contacts.lock_for_update(tx, [key]))[key]
        await releasing.release_dropped(
            tx, [releasing.Release(uuid_of("r"), contact, message(), from_=start, to=end)], DAY
        )


async def published(pool: Pool) -> Any:
    """What contacts.changes is going to say, once."""
    async with pool.acquire() as tx, tx.transaction():
        [row] = await contacts.unpublished(tx, 10)
        await contacts.clear_unpublished(tx, [(row["workspace_id"], row["contact_id"], row["marked"])])
        return row["display_name"], row["first_name"], row["language"], row["avatar_url"]


async def test_a_message_dropped_late_takes_its_name_back(pool: Pool) -> None:
    await ingest(pool, message(minutes=1, **told("A")), message(minutes=11, **told("B")))
    assert await published(pool) == shown("B")
    await blocks(pool, (10, None))
    assert await rows(pool, NAMES) == [shown("A")]
    assert await published(pool) == shown("A")


async def test_a_message_accepted_late_gives_its_name(pool: Pool) -> None:
    await ingest(pool, message(minutes=1, **told("A")))
    await blocks(pool, (10, None))
    await ingest(pool, message(minutes=11, **told("B")))
    assert await rows(pool, NAMES) == [shown("A")]
    assert await published(pool) == shown("A")
    await blocks(pool, (10, 11), command="unblock")
    assert await rows(pool, NAMES) == [shown("B")]
    assert await published(pool) == shown("B")


async def test_a_released_message_gives_its_name(pool: Pool) -> None:
    await ingest(pool, message(minutes=1, **told("A")))
    await blocks(pool, (10, 20))
    await ingest(pool, message(minutes=11, **told("B")), message(minutes=12, **told("C")))
    await release(pool, at(11), at(12))
    assert await rows(pool, NAMES) == [shown("B")]
    await release(pool, at(11), at(13))
    assert await rows(pool, NAMES) == [shown("C")]


async def test_nobody_says_any_more_how_a_contact_is_called(pool: Pool) -> None:
    await ingest(pool, message(minutes=5), message(minutes=11, **told("B")))
    await blocks(pool, (10, None))
    assert await rows(pool, NAMES) == [NOBODY]
    assert await published(pool) == NOBODY


async def test_each_of_the_three_is_taken_back_by_itself(pool: Pool) -> None:
    await ingest(
        pool, message(minutes=1, name="A", language="de"), message(minutes=2, avatar_url="https://example.org/a")
    )
    await ingest(pool, message(minutes=11, name="B"), message(minutes=12, language="en"))
    await blocks(pool, (10, None))
    assert await rows(pool, NAMES) == [("A", "A", "de", "https://example.org/a")]


async def test_a_dropped_message_names_nobody(pool: Pool) -> None:
    await ingest(pool, message(minutes=1))
    await blocks(pool, (10, None))
    await ingest(pool, message(minutes=11, **told("B")))
    assert await rows(pool, NAMES) == [NOBODY]


@pytest.mark.parametrize("kind", ["reaction", "echo"])
async def test_reactions_and_echoes_name_a_contact(pool: Pool, kind: str) -> None:
    await ingest(pool, message(minutes=1, **told("A")))
    await ingest(pool, message(minutes=11, kind=kind, **told("B")))
    assert await rows(pool, NAMES) == [shown("B")]
    await blocks(pool, (10, None))
    # a block drops no echo: it is only marked as bypassing
    assert await rows(pool, NAMES) == [shown("B" if kind == "echo" else "A")]


async def test_what_was_erased_gives_no_name(pool: Pool) -> None:
    await ingest(pool, message(minutes=1, **told("A")))
    await blocks(pool, (10, None))
    await ingest(pool, message(minutes=11, **told("B")))
    async with pool.acquire() as tx, tx.transaction():
        assert await messages.erase(tx, at(12 + 7 * 24 * 60), 100) == 1
    await blocks(pool, (10, 11), command="unblock")
    assert await rows(pool, NAMES) == [shown("A")]


async def test_a_name_is_taken_back_from_whichever_generation_it_came(pool: Pool) -> None:
    await ingest(pool, message(minutes=1, **told("A")))
    assert await turn(pool)
    assert await seal(pool)
    await ingest(pool, message(minutes=11, **told("B")))
    assert await turn(pool)
    assert await seal(pool)
    await blocks(pool, (10, None))
    assert await rows(pool, NAMES) == [shown("A")]


async def test_a_revision_in_steps_ends_with_the_same_name(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    at_most(monkeypatch, 1)
    await ingest(pool, message(minutes=1, **told("A")), *(message(minutes=n, **told("B")) for n in (11, 12, 13)))
    await blocks(pool, (10, None))
    await published(pool)
    await steps(pool, 3)
    assert await rows(pool, NAMES) == [shown("A")]
    assert await published(pool) == shown("A")


async def test_a_conversation_that_a_later_step_opens_is_published(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    await ingest(pool, message(minutes=1))
    await blocks(pool, (10, None))
    await ingest(pool, *(message(minutes=n) for n in (11, 12, 13)))
    at_most(monkeypatch, 1)
    await blocks(pool, (10, 11), command="unblock")
    async with pool.acquire() as tx, tx.transaction():
        marked = await contacts.unpublished(tx, 10)
        await contacts.clear_unpublished(
            tx, [(row["workspace_id"], row["contact_id"], row["marked"]) for row in marked]
        )
        before = await tx.fetchval("SELECT revision FROM contacts")
    await steps(pool, 1)
    async with pool.acquire() as tx, tx.transaction():
        assert await tx.fetchval("SELECT revision FROM contacts") > before
        [row] = await contacts.unpublished(tx, 10)
    assert row["conversation_status"] == "open"


async def test_whatever_order_two_messages_and_a_block_come_in_the_name_is_one(pool: Pool) -> None:
    """All orders of the smallest history there is; longer ones are drawn in tests/acceptance."""
    found: set[tuple[Any, ...]] = set()
    for number, order in enumerate(permutations(("first", "second", "block"))):
        address = f"+49151123456{number:02}"
        await ingest(pool, message(address, minutes=0))
        for what in order:
            if what == "block":
                await blocks(pool, (10, None), command=address, address=address)
            else:
                minutes, name = (5, "A") if what == "first" else (11, "B")
                await ingest(pool, message(address, minutes=minutes, **told(name)))
        found |= {tuple(row) for row in await rows(pool, f"{NAMES} WHERE phone = $1", address)}
    assert found == {shown("A")}
