"""Work that grows with what is stored, and takes longer than a transaction usually may."""

from typing import Final

from workers.runtime.batch import Connection
from workers.store.queries import load

_SQL: Final = load("long_work")

WITHIN_ONE_POLL_S: Final = 150.0
"""For a statement between two polls: a process that does not poll for three minutes is ended."""


async def take_time(tx: Connection) -> None:
    """This transaction may take as long as it does; its statements need a `timeout` of their own."""
    await tx.execute(_SQL["take_time"])
