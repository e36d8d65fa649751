"""The spelling of an address follows its newest message, while the lookup form is another one."""

from itertools import permutations
from typing import Any

import pytest
from asyncpg import Pool

from tests.workers.asking import ask, give, rows
from tests.workers.records import batch, message
from workers.messages import worker
from workers.records import Record

FIRST, SECOND, THIRD = "Eva@Faß.example", "eva@faß.example", "EVA@xn--fa-hia.example"
SPELLED = "SELECT address FROM sluice.contact_channels WHERE connected_at IS NOT NULL"


def mail(address: str, minutes: float, **fields: Any) -> Record[Any]:
    return message(address, minutes=minutes, channel="email", channel_id="mail-1", **fields)


async def ingest(pool: Pool, *records: Record[Any]) -> None:
    async with pool.acquire() as tx, tx.transaction():
        await worker.apply(tx, batch(*records))


@pytest.mark.parametrize("order", [*permutations((1, 2, 3))])
@pytest.mark.parametrize("together", [True, False])
async def test_the_newest_message_says_it_in_whatever_order_they_come(
    pool: Pool, order: tuple[int, ...], *, together: bool
) -> None:
    records = [mail((FIRST, SECOND, THIRD)[n - 1], n) for n in order]
    for part in [records] if together else [[r] for r in records]:
        await ingest(pool, *part)

    assert await rows(pool, SPELLED) == [(THIRD,)]
    assert await rows(pool, "SELECT email FROM sluice.contact_overview") == [("eva@xn--fa-hia.example",)]


async def test_an_older_message_from_elsewhere_changes_nothing_and_says_nothing(pool: Pool) -> None:
    await ingest(pool, mail(FIRST, 5))
    [before] = await rows(pool, "SELECT revision FROM sluice_core.contacts")
    await ingest(pool, mail(FIRST, 6), mail(SECOND, 4))
    assert await rows(pool, SPELLED) == [(FIRST,)]
    assert await rows(pool, "SELECT revision FROM sluice_core.contacts") == [before]


async def test_a_new_spelling_is_told_in_contacts_changes(pool: Pool) -> None:
    await ingest(pool, mail(FIRST, 1))
    [(revision,)] = await rows(pool, "SELECT revision FROM sluice_core.contacts")
    await pool.execute("DELETE FROM sluice_core.unpublished_contacts")
    await ingest(pool, mail(SECOND, 2))
    assert await rows(pool, "SELECT revision FROM sluice_core.contacts") == [(revision + 1,)]
    assert await rows(pool, "SELECT revision FROM sluice_core.unpublished_contacts") == [(revision + 1,)]


async def test_a_dropped_message_says_it_as_well(pool: Pool) -> None:
    await give(pool, ask("configure_workspace", set={"quarantine_days": 0}))
    await ingest(pool, mail(FIRST, 1))
    await give(pool, ask("block_contact", minutes=2, identity={"channel": "email", "address": SECOND}))
    await ingest(pool, mail(SECOND, 4))
    await ingest(pool, mail(FIRST, 3))
    assert await rows(pool, SPELLED) == [(SECOND,)]
    assert len(await rows(pool, "SELECT 1 FROM sluice.drop_ledger")) == 2


async def test_what_staff_typed_does_not(pool: Pool) -> None:
    await ingest(pool, mail(FIRST, 1))
    await ingest(pool, mail(SECOND, 2, kind="echo"))
    await ingest(pool, mail(THIRD, 3, kind="reaction"))
    assert await rows(pool, SPELLED) == [(THIRD,)]
    await ingest(pool, mail(SECOND, 4, kind="echo"), mail(FIRST, 2.5))
    assert await rows(pool, SPELLED) == [(THIRD,)]


async def test_the_first_message_says_it_for_an_address_known_from_a_block(pool: Pool) -> None:
    await give(pool, ask("block_contact", identity={"channel": "email", "address": SECOND}))
    await ingest(pool, mail(FIRST, 1))
    assert await rows(pool, SPELLED) == [(FIRST,)]


async def test_a_number_is_spelled_as_the_provider_last_did(pool: Pool) -> None:
    await ingest(pool, message("5215541637145", minutes=1))
    await ingest(pool, message("525541637145", minutes=2))
    assert await rows(pool, SPELLED) == [("+525541637145",)]
    await ingest(pool, message("551187654321", minutes=1), message("5511987654321", minutes=0))
    assert await rows(pool, f"{SPELLED} AND address LIKE '+55%'") == [("+551187654321",)]


async def test_other_addresses_in_the_poll_keep_theirs(pool: Pool) -> None:
    others = [f"Person.{n}@Example.com" for n in range(5)]
    await ingest(pool, *(mail(a, 1) for a in others), mail(FIRST, 1))
    await ingest(pool, *(mail(a.lower() if n == 2 else a, 2) for n, a in enumerate(others)), mail(SECOND, 2))
    expected = sorted([*(a for n, a in enumerate(others) if n != 2), "person.2@example.com", SECOND])
    assert sorted(a for (a,) in await rows(pool, SPELLED)) == expected
