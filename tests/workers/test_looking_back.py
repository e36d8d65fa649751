"""What is looked for among a contact's messages when one is dropped late: few are looked at, the rest in steps."""

import random
from typing import Any

import pytest
from asyncpg import Pool

from tests.support.databases import Databases
from tests.workers.asking import ask, results
from tests.workers.ingesting import ingest
from tests.workers.records import at, message, uuid_of
from tests.workers.sending import configure, rows
from tests.workers.stepping import at_most, steps
from workers.store import mac, messages
from workers.store.pool import pool_of

pytestmark = pytest.mark.usefixtures("_cycles_stay_open")

PROOF = "SELECT first_counted_at FROM mac_contacts"
ACTIVE = "SELECT active_contacts FROM mac_counts"
STATUS = "SELECT conversation_status, display_name FROM contact_overview"


async def told(pool: Pool, again: float | None) -> None:
    """A message, reactions that do not count, and perhaps another message."""
    await configure(pool, count_reactions=False, mac_block_effect="immediate")
    reactions = [message(minutes=11 + n, kind="reaction") for n in range(12)]
    await ingest(pool, message(minutes=10, name="Ana"))
    await ingest(pool, *reactions, *([message(minutes=again)] if again else []))
    assert await rows(pool, PROOF) == [(at(10),)]


async def drop_the_first(pool: Pool) -> None:
    [(contact,)] = await rows(pool, "SELECT contact_id FROM contacts")
    await results(pool, ask("unblock_contact", minutes=10.5, contact_id=contact, timestamp=at(60)))
    [blocked] = await results(pool, ask("block_contact", minutes=9, contact_id=contact, timestamp=at(60)))
    assert blocked["messages_revised"] == 1


@pytest.mark.parametrize("again", [None, 10.7, 40])
@pytest.mark.parametrize("look", [1_000, 5])
async def test_whoever_was_active_and_is_open_is_found_at_once_or_in_steps(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, look: int, again: float | None
) -> None:
    monkeypatch.setattr(mac, "LOOK", look)
    monkeypatch.setattr(messages, "OPENING", look)
    at_most(monkeypatch, 4)
    await told(pool, again)
    await drop_the_first(pool)
    assert (await rows(pool, "SELECT count(*) FROM pending_work") == [(0,)]) == (look == 1_000)
    await steps(pool, 100)
    assert await rows(pool, PROOF) == ([(at(again),)] if again else [])
    assert await rows(pool, ACTIVE) == [(1 if again else 0,)]
    assert await rows(pool, STATUS) == [("open" if again else "closed", None)]


async def test_what_comes_before_the_step_is_not_lost(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mac, "LOOK", 5)
    at_most(monkeypatch, 4)
    await told(pool, None)
    await drop_the_first(pool)
    await steps(pool, 2)
    await ingest(pool, message(minutes=10.7, text="late"), message(minutes=50))
    await steps(pool, 100)
    assert await rows(pool, PROOF) == [(at(10.7),)]
    assert await rows(pool, ACTIVE) == [(1,)]


async def test_a_name_that_nobody_said_among_the_newest_messages_stays(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "NAMING", 5)
    await told(pool, 40)
    await drop_the_first(pool)
    assert await rows(pool, STATUS) == [("open", "Ana")]
    await ingest(pool, message(minutes=55, name="Anna"))
    assert await rows(pool, STATUS) == [("open", "Anna")]


@pytest.mark.parametrize("months", [[0, -1], [-1, 0], [0, -1, -2, -3]])
async def test_a_block_over_several_cycles_leaves_none_of_them_out(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, months: list[int]
) -> None:
    monkeypatch.setattr(mac, "LOOK", 5)
    await configure(pool, count_reactions=False, mac_block_effect="immediate")
    for month in months:
        first = 43_200 * month
        await ingest(pool, message(minutes=first), *(message(minutes=first + n, kind="reaction") for n in range(1, 12)))
    assert len(await rows(pool, PROOF)) == len(months)
    [(contact,)] = await rows(pool, "SELECT contact_id FROM contacts")
    await results(pool, ask("block_contact", minutes=-200_000, contact_id=contact, timestamp=at(60)))
    await steps(pool, 100)
    assert await rows(pool, PROOF) == []
    assert {active for (active,) in await rows(pool, ACTIVE)} == {0}


FINAL = (
    "SELECT cycle_start, first_counted_at, first_message_id FROM mac_contacts ORDER BY 1",
    "SELECT cycle_start, active_contacts FROM mac_counts ORDER BY 1",
    "SELECT conversation_status FROM contact_overview",
    "SELECT message_id, counted FROM drop_ledger ORDER BY 1",
)
TRUE_PROOFS = """
    SELECT DISTINCT ON (cycle_start) cycle_start, event_time, message_id FROM messages JOIN mac_cycles
    ON event_time >= cycle_start AND event_time < cycle_end WHERE counted ORDER BY cycle_start, event_time, message_id
"""


@pytest.mark.parametrize("seed", range(5))
async def test_at_once_and_in_steps_it_ends_the_same(
    databases: Databases, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    async def ending() -> list[Any]:
        dice = random.Random(seed)  # noqa: S311 - repeatable
        async with databases.migrated() as url, pool_of(url, name="test") as pool:
            await configure(pool, count_reactions=False, mac_block_effect=dice.choice(["immediate", "next_cycle"]))
            await ingest(pool, message(minutes=-30_000))
            [(contact,)] = await rows(pool, "SELECT contact_id FROM contacts")
            for number in range(40):
                minutes, given = dice.randint(-30_000, 30_000), {"contact_id": contact, "timestamp": at(40_000)}
                match dice.randint(0, 5):
                    case 0:
                        id_ = uuid_of(f"{number}")
                        await results(pool, ask("block_contact", minutes=minutes, command_id=id_, **given))
                    case 1:
                        id_ = uuid_of(f"{number}")
                        await results(pool, ask("unblock_contact", minutes=minutes, command_id=id_, **given))
                    case 2:
                        await steps(pool, dice.randint(0, 3))
                    case _:
                        kinds = [dice.choice(["message", "reaction", "reaction", "echo"]) for _ in range(6)]
                        await ingest(pool, *(message(minutes=minutes + n, kind=kind) for n, kind in enumerate(kinds)))
            await steps(pool, 1000)
            assert await rows(pool, FINAL[0]) == await rows(pool, TRUE_PROOFS)
            return [await rows(pool, query) for query in FINAL]

    at_once = await ending()
    monkeypatch.setattr(mac, "LOOK", 2)
    monkeypatch.setattr(messages, "OPENING", 2)
    at_most(monkeypatch, 3)
    assert await ending() == at_once
