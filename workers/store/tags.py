"""Tags: their names, one row for each workspace and name, and who has them."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from uuid import UUID

from workers.rules.contact import ContactKey
from workers.rules.last_write_wins import LastWrite, WriteStamp
from workers.store.arrays import columns
from workers.store.connection import Connection
from workers.store.queries import load as queries

_SQL = queries("tags")

TagName = tuple[str, str]
"""(workspace_id, tag)."""
TagKey = tuple[str, UUID, str]
"""(workspace_id, contact_id, tag)."""


async def known(tx: Connection, names: Collection[TagName]) -> set[TagName]:
    """Those of `names` that exist."""
    rows = await tx.fetch(_SQL["known"], *columns(list(names), 2)) if names else ()
    return {(workspace_id, tag) for workspace_id, tag in rows}


async def lock_names(tx: Connection, workspace_ids: Iterable[str]) -> Counter[str]:
    """How many tags these workspaces have. Until the transaction ends no other transaction adds any."""
    wanted = sorted(set(workspace_ids))
    await tx.execute(_SQL["lock_names"], wanted)
    return Counter(dict(await tx.fetch(_SQL["count_names"], wanted)))


async def add_names(tx: Connection, names: Collection[TagName]) -> None:
    """Stores new names."""
    if names:
        await tx.execute(_SQL["add_names"], *columns(sorted(names), 2))


async def load(tx: Connection, keys: Collection[TagKey]) -> dict[TagKey, LastWrite[bool]]:
    """The tags that commands were ever about, present or removed. Their contacts are locked for update."""
    rows = await tx.fetch(_SQL["load"], *columns(list(keys), 3)) if keys else ()
    return {
        (workspace_id, contact_id, tag): LastWrite(present, WriteStamp(at, by))
        for workspace_id, contact_id, tag, present, at, by in rows
    }


async def count(tx: Connection, contacts: Collection[ContactKey]) -> Counter[ContactKey]:
    """How many tags each contact has."""
    rows = await tx.fetch(_SQL["count"], *columns(list(contacts), 2)) if contacts else ()
    return Counter({(workspace_id, contact_id): tags for workspace_id, contact_id, tags in rows})


async def save(tx: Connection, tags: Mapping[TagKey, LastWrite[bool]]) -> None:
    """Stores the last write of each tag."""
    rows = [(*key, tag.value, *(tag.written or ())) for key, tag in tags.items()]
    if rows:
        await tx.execute(_SQL["save"], *columns(rows, 6))
