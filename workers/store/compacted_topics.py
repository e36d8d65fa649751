"""How far compaction repair compared compacted topics with the rows."""

from collections.abc import Mapping
from typing import Final

from workers.store.connection import Connection
from workers.store.queries import load

_QUERIES: Final = load("compacted_topics")


async def positions(connection: Connection, topic: str) -> dict[int, int]:
    """Partition -> the next offset to compare. Partitions that were never read are left out."""
    return {row["partition"]: row["next_offset"] for row in await connection.fetch(_QUERIES["positions"], topic)}


async def move(connection: Connection, topic: str, offsets: Mapping[int, int]) -> None:
    """Stores new positions."""
    partitions = sorted(offsets)
    await connection.execute(_QUERIES["move"], topic, partitions, [offsets[p] for p in partitions])


async def forget(connection: Connection) -> None:
    """Deletes all positions: every topic is read from its beginning."""
    await connection.execute(_QUERIES["forget"])
