"""Contacts page by page, as export and selections read them."""

import json
from typing import Any

from asyncpg import Pool

from tests.workers.asking import ask, by_phone, give, rows
from tests.workers.ingesting import ingest
from tests.workers.records import WORKSPACE, message
from workers.store import contact_lists

NUMBERS = [f"+49151000{number:05}" for number in range(7)]


async def prepare(pool: Pool) -> None:
    others = [message("ada@example.com", channel="email"), message(NUMBERS[0], workspace_id="other")]
    await ingest(pool, *[message(number, name=number[-1]) for number in NUMBERS], *others)
    await give(
        pool,
        *[ask("add_tag", tag="vip", identity=by_phone(number)) for number in NUMBERS[1:]],
        ask("remove_tag", tag="vip", identity=by_phone(NUMBERS[1]), minutes=1),
        ask("block_contact", identity=by_phone(NUMBERS[2])),
    )


async def page(pool: Pool, tag: str | None, after: object, n: int) -> list[Any]:
    query = "SELECT display_name, contact_id FROM sluice.contact_page($1, $2, $3, $4)"
    return await rows(pool, query, WORKSPACE, tag, after, n)


async def test_pages_hold_every_contact_of_the_workspace_once_and_no_blocked_one(pool: Pool) -> None:
    await prepare(pool)
    found, after = [], "00000000-0000-0000-0000-000000000000"
    while some := await page(pool, None, after, 3):
        assert len(some) <= 3
        found += some
        after = some[-1][1]

    assert sorted(name or "" for name, _ in found) == ["", "0", "1", "3", "4", "5", "6"]
    assert [id_ for _, id_ in found] == sorted(id_ for _, id_ in found)


async def test_with_a_tag_only_those_that_have_it(pool: Pool) -> None:
    await prepare(pool)
    async with pool.acquire() as connection:
        tagged = [
            row["display_name"] async for some in contact_lists.pages(connection, WORKSPACE, "vip") for row in some
        ]

    assert sorted(tagged) == ["3", "4", "5", "6"]


async def test_each_has_its_identities_the_first_one_first(pool: Pool) -> None:
    await ingest(pool, message("u-1", channel="line", channel_id="line-1"))
    query = "SELECT identities FROM sluice.contact_page($1, NULL, $2, 10)"
    [(identities,)] = await rows(pool, query, WORKSPACE, "00000000-0000-0000-0000-000000000000")

    assert json.loads(identities) == [{"channel": "line", "channel_id": "line-1", "address": "u-1"}]
