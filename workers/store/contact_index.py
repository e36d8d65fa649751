"""An index of contacts beside their rows: by what they are suggested for merging, and searched."""

from collections.abc import Collection
from typing import Final

from workers.rules.contact import ContactKey
from workers.store.arrays import columns
from workers.store.connection import Connection
from workers.store.derived_rows import writing
from workers.store.queries import load

_SQL: Final = load("contact_index")


async def renew(tx: Connection, keys: Collection[ContactKey]) -> None:
    """Brings the index up to date for contacts that changed or are gone.

    Of two transactions that change contacts with one value, the later call sees both: calls wait for each other, and
    each reads what was committed before it.
    """
    if not keys:
        return
    async with writing(tx, "contact_index"):
        moved = await tx.fetch(_SQL["renew"], *columns(list(keys), 2))
        if moved:
            await tx.execute(_SQL["renew_shared"], *columns([tuple(row) for row in moved], 3))
