"""Unpublished events about keys that several partitions and jobs write to."""

from collections.abc import Collection
from typing import Final

from workers.records import Partition, TopicKey, UnpublishedEvent
from workers.store.batch_outbox import mark, marks, unpack
from workers.store.connection import Connection
from workers.store.job_outbox import event_of
from workers.store.queries import load

_QUERIES: Final = load("unpublished")


async def earlier(connection: Connection, keys: Collection[TopicKey]) -> list[UnpublishedEvent]:
    """Events about the keys that may be unpublished, oldest first.

    Complete only for keys whose rows the transaction has locked: then earlier writers have committed.
    """
    if not keys:
        return []
    wanted = {mark(*key) for key in keys}
    marked = await connection.fetch(_QUERIES["marked"])
    rows = [row["seq"] for row in marked if not wanted.isdisjoint(marks(row["shared_keys"]))]
    found = [
        (row["seq"], UnpublishedEvent(Partition(row["topic"], row["partition"]), event))
        for row in (await connection.fetch(_QUERIES["batch_outbox"], rows) if rows else ())
        for event in unpack(row["events"])
    ]
    jobs = await connection.fetch(_QUERIES["outbox"], sorted({key for _, key in keys}), sorted({t for t, _ in keys}))
    found += [(row[0], UnpublishedEvent(None, event_of(row[1:]))) for row in jobs]
    in_order = (waiting for _, waiting in sorted(found, key=lambda pair: pair[0]))
    return [waiting for waiting in in_order if (waiting.event.topic, waiting.event.key) in keys]
