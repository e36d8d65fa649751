"""What is owed, by whomever, about keys that several partitions and jobs have facts about."""

from collections.abc import Collection
from typing import Final

from workers.runtime.batch import Connection, Source
from workers.runtime.ports import Earlier, TopicKey
from workers.store.outbox import fact_of
from workers.store.owed import mark, marks, unpack
from workers.store.queries import load

_QUERIES: Final = load("told")


async def earlier(connection: Connection, keys: Collection[TopicKey]) -> list[Earlier]:
    """What is owed about the keys and perhaps not published yet, oldest first.

    Complete only for keys whose rows the transaction has locked: then whoever told something before has committed.
    """
    if not keys:
        return []
    wanted = {mark(*key) for key in keys}
    marked = await connection.fetch(_QUERIES["marked"])
    rows = [row["seq"] for row in marked if not wanted.isdisjoint(marks(row["shared"]))]
    found = [
        (row["seq"], Earlier(Source(row["topic"], row["partition"]), fact))
        for row in (await connection.fetch(_QUERIES["owed"], rows) if rows else ())
        for fact in unpack(row["outputs"])
    ]
    jobs = await connection.fetch(_QUERIES["outbox"], sorted({key for _, key in keys}), sorted({t for t, _ in keys}))
    found += [(row[0], Earlier(None, fact_of(row[1:]))) for row in jobs]
    in_order = (told for _, told in sorted(found, key=lambda pair: pair[0]))
    return [told for told in in_order if (told.fact.topic, told.fact.key) in keys]
