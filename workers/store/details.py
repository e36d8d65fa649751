"""What people wrote into contacts, and the definitions of custom fields."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

import msgspec

from workers.rules.contact import ContactKey
from workers.rules.custom_fields import FieldDefinition, FieldKey
from workers.rules.details import Details
from workers.rules.last_write_wins import LastWrite, WriteStamp
from workers.store.arrays import columns
from workers.store.connection import Connection
from workers.store.queries import load as queries

_SQL = queries("details")
_WRITTEN = msgspec.json.Decoder(dict[str, WriteStamp])


async def load(tx: Connection, keys: Collection[ContactKey]) -> dict[ContactKey, Details]:
    """Of contacts that are locked for update."""
    rows = await tx.fetch(_SQL["details"], *columns(list(keys), 2)) if keys else ()
    return {
        (workspace_id, contact_id): Details(
            msgspec.json.decode(edited), msgspec.json.decode(custom), assignee, _WRITTEN.decode(written)
        )
        for workspace_id, contact_id, edited, custom, assignee, written in rows
    }


async def save(tx: Connection, details: Mapping[ContactKey, Details], changed: Collection[ContactKey]) -> None:
    """Saves what was written. Raises the revision of the contacts that show something else now."""
    rows = [
        (*key, _json(d.edited), _json(d.custom), d.assignee, _json(d.written), key in changed)
        for key, d in details.items()
    ]
    if rows:
        await tx.execute(_SQL["save_details"], *columns(rows, 7))


async def lock_definitions(tx: Connection, workspace_ids: Iterable[str]) -> None:
    """Until the transaction ends no other transaction defines custom fields of these workspaces."""
    await tx.execute(_SQL["lock_definitions"], sorted(set(workspace_ids)))


async def definitions(tx: Connection, keys: Collection[FieldKey]) -> dict[FieldKey, FieldDefinition]:
    """Those of `keys` that are defined."""
    rows = await tx.fetch(_SQL["definitions"], *columns(list(keys), 3)) if keys else ()
    return {
        (workspace_id, scope, name): FieldDefinition(kind, LastWrite(tuple(options), WriteStamp(at, by)))
        for workspace_id, scope, name, kind, options, at, by in rows
    }


async def count_definitions(tx: Connection, workspace_ids: Iterable[str]) -> Counter[tuple[str, str]]:
    """How many custom fields there are, by workspace and scope."""
    rows = await tx.fetch(_SQL["count_definitions"], sorted(set(workspace_ids)))
    return Counter({(workspace_id, scope): number for workspace_id, scope, number in rows})


async def save_definitions(tx: Connection, defined: Mapping[FieldKey, FieldDefinition]) -> None:
    """Stores new definitions, and the options of known ones. Lock the definitions first."""
    rows = [(*key, d.type, _json(d.options.value), *(d.options.written or ())) for key, d in sorted(defined.items())]
    if rows:
        await tx.execute(_SQL["save_definitions"], *columns(rows, 7))


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
