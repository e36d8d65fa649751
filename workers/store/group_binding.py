"""Binds a database to one group prefix: workers of two prefixes would apply everything twice.

The first applied record binds it, not a start. Before that, workers of any prefix may start and take partitions over.
After that, every other prefix is refused, at its start and at the latest before its first record.
"""

from collections.abc import Collection, Sequence
from typing import Final

from workers.errors import SetupError
from workers.records import Partition
from workers.store.connection import Connection
from workers.store.queries import load

_QUERIES: Final = load("group_binding")


def _prefix_of(consumer_group: str) -> str:
    return consumer_group.rpartition("-")[0]


async def check(connection: Connection, topics: Sequence[str], consumer_group: str) -> None:
    """Refuses a database that is bound to another prefix, and topics that belong to another worker.

    Raises:
        SetupError: the database or the topics are refused.
    """
    row = await connection.fetchrow(_QUERIES["other_binding"], _prefix_of(consumer_group), list(topics), consumer_group)
    if row is not None:
        theirs = row["consumer_group"]
        raise SetupError(
            f"the database is bound to the group prefix {_prefix_of(theirs)}, and SLUICE_GROUP_PREFIX is "
            f"{_prefix_of(consumer_group)}: the progress of {row['topic']} belongs to consumer group {theirs}. Either "
            "set SLUICE_GROUP_PREFIX back, or use another database, or stop all workers and see "
            "`sluice progress rebind --help`"
        )


async def bind(connection: Connection, begun: Collection[Partition], consumer_group: str) -> None:
    """Binds the database, if it is not bound, before the first record of partitions, whose rows have moved already. If
    it is not bound yet, first records of other partitions wait for the transaction to end. Needs a transaction at READ
    COMMITTED.

    Raises:
        SetupError: see `check`.
    """
    ordered = sorted(begun)
    topics, partitions = [s.topic for s in ordered], [s.partition for s in ordered]
    if not await connection.fetchval(_QUERIES["is_bound"], topics, partitions):
        await connection.execute(_QUERIES["lock"])
    await check(connection, sorted(set(topics)), consumer_group)


async def refuse_rivals(connection: Connection, sources: Collection[Partition], consumer_group: str) -> None:
    """Explains lost partitions: a restart does not help while workers of two prefixes use an unbound database.

    Raises:
        SetupError: they do, or the database is bound to another prefix by now.
    """
    ordered = sorted(sources)
    topics, partitions = [s.topic for s in ordered], [s.partition for s in ordered]
    await check(connection, topics, consumer_group)
    row = await connection.fetchrow(_QUERIES["other_prefix_at_work"], _prefix_of(consumer_group), topics, partitions)
    if row is not None:
        raise SetupError(
            f"consumer group {row['consumer_group']} ({row['owner']}) uses {row['topic']}[{row['partition']}] as "
            f"well as {consumer_group}, under another group prefix: stop one of them, or set SLUICE_GROUP_PREFIX"
        )


async def bound(connection: Connection) -> list[str]:
    """The prefix that the database is bound to; empty before the first record."""
    return [row[0] for row in await connection.fetch(_QUERIES["prefixes"])]


async def settled(connection: Connection, prefix: str) -> str:
    """The prefix that the database is bound to, else `prefix`. No other transaction binds it until this one ends."""
    await connection.execute(_QUERIES["lock"])
    return next(iter(await bound(connection)), prefix)


async def rebind(connection: Connection, prefix: str) -> None:
    """Binds the database to another prefix, whose workers continue at the present offsets. Fences running workers.
    Needs a transaction.
    """
    await connection.execute(_QUERIES["lock_all"])
    await connection.execute(_QUERIES["lock"])
    await connection.execute(_QUERIES["rebind"], prefix)
