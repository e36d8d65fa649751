"""The ordinary outbox: facts that no input record causes, stored with the change that made them."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from workers.runtime.batch import Connection, Fact
from workers.store import headers
from workers.store.queries import load

_QUERIES: Final = load("outbox")


class Waiting(NamedTuple):
    """Shards of the outbox that hold facts, and compacted topics that have dirty keys."""

    shards: Sequence[int]
    topics: Sequence[str]


async def put(connection: Connection, facts: Sequence[Fact]) -> None:
    """Stores facts in this order; they are published once the transaction commits."""
    if not facts:
        return
    await connection.execute(
        _QUERIES["put"],
        [fact.topic for fact in facts],
        [fact.key for fact in facts],
        [fact.value for fact in facts],
        [fact.ce_id for fact in facts],
        [fact.workspace_id for fact in facts],
        [fact.time for fact in facts],
        [fact.traceparent for fact in facts],
        [headers.pack(fact.headers) for fact in facts],
    )


async def waiting(connection: Connection) -> Waiting:
    """Everything a publisher could have to do, asked at once."""
    row = await connection.fetchrow(_QUERIES["waiting"])
    return Waiting(row["shards"], row["topics"])


async def of_shard(connection: Connection, shard: int, limit: int) -> list[tuple[int, Fact]]:
    """The oldest facts of a shard with their row's id."""
    rows = await connection.fetch(_QUERIES["of_shard"], shard, limit)
    return [(row[0], fact_of(row[1:])) for row in rows]


def fact_of(stored: Sequence[Any]) -> Fact:
    """A fact from its columns, in their order."""
    topic, key, value, ce_id, workspace_id, time, traceparent, packed = stored
    return Fact(topic, key, value, ce_id, workspace_id, time, traceparent, headers.unpack(packed))


async def published(connection: Connection, ids: Sequence[int]) -> None:
    """Forgets facts that are acknowledged."""
    await connection.execute(_QUERIES["published"], sorted(ids))
