"""How far compacted topics were compared with the rows."""

from collections.abc import Mapping
from typing import Final

from workers.runtime.batch import Connection
from workers.store.queries import load

_QUERIES: Final = load("tails")


async def positions(connection: Connection, topic: str) -> dict[int, int]:
    """Partition -> the next offset to compare; partitions that were never read are left out."""
    return {row["partition"]: row["next_offset"] for row in await connection.fetch(_QUERIES["positions"], topic)}


async def move(connection: Connection, topic: str, offsets: Mapping[int, int]) -> None:
    """Remembers new positions."""
    partitions = sorted(offsets)
    await connection.execute(_QUERIES["move"], topic, partitions, [offsets[p] for p in partitions])


async def forget(connection: Connection) -> None:
    """Every topic begins again."""
    await connection.execute(_QUERIES["forget"])
