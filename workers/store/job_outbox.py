"""The ordinary outbox: events that no input record causes, stored with the change that caused them."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from workers.records import Event
from workers.store import headers
from workers.store.connection import Connection
from workers.store.queries import load

_QUERIES: Final = load("job_outbox")


class Waiting(NamedTuple):
    """Shards of the outbox with events, and compacted topics with unpublished changes."""

    shards: Sequence[int]
    topics: Sequence[str]


async def put(connection: Connection, events: Sequence[Event]) -> None:
    """Stores events in this order. They are published after COMMIT."""
    if not events:
        return
    await connection.execute(
        _QUERIES["put"],
        [event.topic for event in events],
        [event.key for event in events],
        [event.value for event in events],
        [event.ce_id for event in events],
        [event.workspace_id for event in events],
        [event.time for event in events],
        [event.traceparent for event in events],
        [headers.pack(event.headers) for event in events],
    )


async def waiting(connection: Connection) -> Waiting:
    """Everything that a publisher could have to do, in one query."""
    row = await connection.fetchrow(_QUERIES["waiting"])
    return Waiting(row["shards"], row["topics"])


async def of_shard(connection: Connection, shard: int, limit: int) -> list[tuple[int, Event]]:
    """The oldest events of a shard with the ids of their rows."""
    rows = await connection.fetch(_QUERIES["of_shard"], shard, limit)
    return [(row[0], event_of(row[1:])) for row in rows]


def event_of(stored: Sequence[Any]) -> Event:
    """An event from its columns, in their order."""
    topic, key, value, ce_id, workspace_id, time, traceparent, packed = stored
    return Event(topic, key, value, ce_id, workspace_id, time, traceparent, headers.unpack(packed))


async def published(connection: Connection, ids: Sequence[int]) -> None:
    """Deletes events that are acknowledged."""
    await connection.execute(_QUERIES["published"], sorted(ids))
