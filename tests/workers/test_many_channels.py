"""A workspace has at most 10,000 channels: one more is refused, and neither stops a worker nor fills its memory."""

import asyncio
from collections.abc import Sequence
from typing import Any

from asyncpg import Pool

from schemas import limits
from tests.workers.asking import ask, details, give, results
from tests.workers.ingesting import rows
from tests.workers.records import WORKSPACE, batch, message
from tests.workers.sending import request
from workers.messages import worker as inbound
from workers.records import Record, SetAside
from workers.sends import worker as outbound
from workers.store import workspaces

COUNT = "SELECT count(*) FROM channels WHERE workspace_id = $1"


async def fill(pool: Pool, channels: int, workspace_id: str = WORKSPACE) -> None:
    """A workspace with so many channels."""
    async with pool.acquire() as tx, tx.transaction():
        await workspaces.share(tx, {(workspace_id, f"old-{n}", "whatsapp") for n in range(channels)})


async def apply(pool: Pool, room: Any, records: Sequence[Record[Any]]) -> list[Record[Any]]:
    """Applies a poll as the engine does. Returns the records that the worker set aside."""
    aside: dict[tuple[Any, int], str] = {}
    try:
        async with pool.acquire() as tx, tx.transaction():
            await room.apply(tx, batch(*records))
    except SetAside as refused:
        aside = dict(refused.errors)
        kept = [r for r in records if (r.source, r.offset) not in aside]
        async with pool.acquire() as tx, tx.transaction():
            await room.apply(tx, batch(*kept))
    assert all(error.startswith("too_many_channels: ") for error in aside.values())
    return [r for r in records if (r.source, r.offset) in aside]


async def test_messages_that_name_the_10001st_channel_are_set_aside_and_the_others_accepted(pool: Pool) -> None:
    await fill(pool, limits.CHANNELS_PER_WORKSPACE - 2)
    names = ["old-1", "new-1", "new-2", "new-3", "new-1", "new-4", "new-3", "old-2"]
    records = [message(channel_id=name, provider_message_id=f"{n}") for n, name in enumerate(names)]

    aside = await apply(pool, inbound, records)

    assert [r.value.channel_id for r in aside] == ["new-3", "new-4", "new-3"]
    assert await rows(pool, "SELECT count(*) FROM conversation_messages") == [(5,)]
    assert await rows(pool, COUNT, WORKSPACE) == [(limits.CHANNELS_PER_WORKSPACE,)]
    assert await apply(pool, inbound, [message(channel_id="new-5", provider_message_id="z")]) != []
    assert await apply(pool, inbound, [message(channel_id="new-5", workspace_id="other")]) == []
    assert await apply(pool, inbound, [message(channel_id="new-2", provider_message_id="y")]) == []


async def test_requests_that_name_it_are_set_aside(pool: Pool) -> None:
    await fill(pool, limits.CHANNELS_PER_WORKSPACE)
    records = [request("a", channel_id="old-1"), request("b", channel_id="new-1")]

    aside = await apply(pool, outbound, records)

    assert aside == records[1:]
    assert await rows(pool, "SELECT channel_id FROM sluice_core.sends") == [("old-1",)]


async def test_a_command_that_would_make_it_is_refused_and_says_so(pool: Pool) -> None:
    await fill(pool, limits.CHANNELS_PER_WORKSPACE - 1)
    more = [ask("configure_channel", channel_id=f"new-{n}", channel="sms", name="x") for n in range(2)]

    outputs = await give(pool, *more)

    assert details(outputs)[0] is None
    assert (details(outputs)[1] or "").startswith("too_many_channels: ")
    assert await results(pool, ask("configure_channel", channel_id="new-9", channel="sms")) == ["invalid"]
    assert await results(pool, ask("configure_channel", channel_id="old-7", channel="whatsapp", name="y")) == [
        {"name": "y"}
    ]
    assert await rows(pool, COUNT, WORKSPACE) == [(limits.CHANNELS_PER_WORKSPACE,)]


async def test_two_transactions_that_add_the_last_channels_do_not_make_too_many(pool: Pool) -> None:
    await fill(pool, limits.CHANNELS_PER_WORKSPACE - 1)

    async def add(name: str) -> int:
        return len(await apply(pool, inbound, [message(channel_id=name, provider_message_id=name)]))

    assert sorted(await asyncio.gather(*(add(f"new-{n}") for n in range(4)))) == [0, 1, 1, 1]
    assert await rows(pool, COUNT, WORKSPACE) == [(limits.CHANNELS_PER_WORKSPACE,)]
