"""For work that grows with the stored data and takes longer than a normal transaction."""

from typing import Final

from workers.store.connection import Connection
from workers.store.queries import load

_SQL: Final = load("long_work")


async def take_time(tx: Connection) -> None:
    """Removes the time limits of this transaction. Its statements need a `timeout` of their own."""
    await tx.execute(_SQL["disable_timeout"])
