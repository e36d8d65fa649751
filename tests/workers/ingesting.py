"""Passes messages and block histories to the inbound worker, and reads the results."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from asyncpg import Pool

from tests.workers.records import DAY, at, batch, message, uuid_of
from workers.messages import late_blocks, worker
from workers.records import Output, Record
from workers.rules.blocks import BlockChange, Interval
from workers.store import contacts

SHOWN = "SELECT content ->> 'text' FROM conversation_messages ORDER BY event_time, message_id"
DROPPED = "SELECT reason, rule, counted FROM drop_ledger ORDER BY event_time, message_id"
ACTIVE = "SELECT active_contacts FROM mac_counts ORDER BY cycle_start"
STATUS = "SELECT conversation_status FROM contact_overview"


async def ingest(pool: Pool, *records: Record[Any], now: datetime | None = None) -> list[Output]:
    async with pool.acquire() as tx, tx.transaction():
        return await worker.apply(tx, batch(*records, now=now))


async def blocks(
    pool: Pool, *intervals: tuple[float, float | None], command: str = "block", address: str | None = None
) -> list[Output]:
    """Give the owner of the address, or the only contact, this block history, as a command does."""
    after = tuple(Interval(at(a), None if b is None else at(b), "ann") for a, b in intervals)
    async with pool.acquire() as tx, tx.transaction():
        [row] = await tx.fetch(
            "SELECT workspace_id, contact_id FROM identities WHERE $1::text IS NULL OR lookup = $1", address
        )
        key = (row["workspace_id"], row["contact_id"])
        before = (await contacts.lock_for_update(tx, [key]))[key].intervals
        change = BlockChange(*key, uuid_of(command), DAY, before, after)
        await contacts.save_blocks(tx, {key: after})
        _, outputs = await late_blocks.revise(tx, {key: change}, {key: message()}, DAY)
        return outputs


async def rows(pool: Pool, query: str, *args: object) -> list[tuple[Any, ...]]:
    async with pool.acquire() as connection:
        return [tuple(row) for row in await connection.fetch(query, *args)]


def values(outputs: Sequence[Output], topic: str) -> list[dict[str, Any]]:
    return [msgspec.json.decode(o.event.value or b"") for o in outputs if o.event.topic == topic]
