"""Stores messages as the inbound worker does, without the worker."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final
from uuid import UUID

from asyncpg import Pool

from tests.workers.records import DAY, WORKSPACE
from workers.store import message_generations, messages
from workers.store.connection import Connection
from workers.store.messages import MessageRow

ANY_SIZE: Final = 0
"""Every generation has at least this size, so the newest one always counts as full."""


def row(id_: UUID, generation: int, at: datetime = DAY) -> MessageRow:
    return MessageRow(
        generation=generation,
        workspace_id=WORKSPACE,
        message_id=id_,
        identity_id=1,
        channel_id="c",
        channel="whatsapp",
        kind="message",
        event_time=at,
        drop_reason=None,
        mac_rule=None,
        block_start=None,
        counted=True,
        content_digest=7,
        body="{}",
    )


async def known(tx: Connection, ids: Collection[UUID]) -> set[UUID]:
    found = await messages.look_up(tx, list(ids))
    return set(found.digests)


async def store(pool: Pool, *ids: UUID, at: datetime = DAY) -> set[UUID]:
    """Stores those of `ids` that are not stored; which were."""
    async with pool.acquire() as tx, tx.transaction():
        return await store_in(tx, *ids, at=at)


async def store_in(tx: Connection, *ids: UUID, at: datetime = DAY) -> set[UUID]:
    found = await messages.look_up(tx, list(ids))
    stored = set(found.digests)
    await messages.add(tx, [row(id_, found.generation, at) for id_ in sorted(set(ids) - stored)])
    return stored


async def turn(pool: Pool) -> bool:
    async with pool.acquire() as tx, tx.transaction():
        return await message_generations.open_next(tx, ANY_SIZE)


async def seal(pool: Pool) -> bool:
    async with pool.acquire() as tx, tx.transaction():
        return await message_generations.seal(tx)


@asynccontextmanager
async def under_way(pool: Pool, *ids: UUID) -> AsyncIterator[Connection]:
    """A transaction that has looked up and stored, and not ended."""
    async with pool.acquire() as tx, tx.transaction():
        await store_in(tx, *ids)
        yield tx
