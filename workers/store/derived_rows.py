"""Rows that are made of other rows: how transactions write them one after the other, by indexes alone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from workers.store.connection import Connection
from workers.store.queries import load

_SQL: Final = load("derived_rows")


@asynccontextmanager
async def writing(tx: Connection, kind: str) -> AsyncIterator[None]:
    """Within the block statements use indexes alone. Others who write this kind of rows wait until the transaction
    ends, and read what it committed.
    """
    await tx.execute(_SQL["begin"], kind)
    yield
    # After an error the transaction is rolled back, and its settings with it.
    await tx.execute(_SQL["end"])
