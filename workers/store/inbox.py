"""The inbox: a row for each contact with its status, assignee and newest message, a few seconds behind.

Who stores or revises messages notes their identities, in the same transaction. Rows are written by `take_news` and
`renew` alone, and these wait for each other: each reads what was committed before it.
"""

from collections.abc import Collection, Mapping
from typing import Final

from workers.rules.contact import ContactKey
from workers.store.arrays import columns
from workers.store.connection import Connection
from workers.store.derived_rows import writing
from workers.store.queries import load

_SQL: Final = load("inbox")


async def note(tx: Connection, generation: int, identities: Mapping[str, Collection[int]]) -> None:
    """Notes the identities of each workspace that have new accepted messages, all in this generation."""
    if identities:
        arrays = ["{" + ",".join(map(str, sorted(ids))) + "}" for ids in identities.values()]
        await tx.execute(_SQL["note"], list(identities), arrays, generation)


async def take_news(tx: Connection, limit: int) -> bool:
    """Brings rows up to date with the oldest notes, of about `limit` identities. Returns whether there were any."""
    async with writing(tx, "inbox"):
        found = [(row["workspace_id"], row["contact_id"]) for row in await tx.fetch(_SQL["take_news"], limit)]
        revised = {key for key in found if key[1] is not None}
        if revised:
            await tx.execute(_SQL["renew"], *columns(sorted(revised), 2))
    return bool(found)


async def renew(tx: Connection, keys: Collection[ContactKey]) -> None:
    """Brings the rows of contacts that changed or are gone up to date."""
    if keys:
        async with writing(tx, "inbox"):
            await tx.execute(_SQL["renew"], *columns(sorted(set(keys)), 2))
