"""Opt-outs that come late, from contacts that were deleted meanwhile: who has the address now has opted out, else its
hash has.
"""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from msgspec.structs import replace

from workers.store import address_hashes, contacts
from workers.store.connection import Connection
from workers.store.contacts import IdentityKey


async def opt_deleted(tx: Connection, opted: Mapping[IdentityKey, tuple[datetime, UUID, bool]]) -> None:
    """Event time, message id and whether the sender opted out, by address. The last write wins."""
    if not opted:
        return
    kept = await address_hashes.find_locked(tx, opted.keys())
    # In a later statement than the lock: a new owner takes over what the hashes have under it.
    owned = await contacts.find(tx, opted.keys())
    await contacts.opt(tx, {(key.workspace_id, owned[key].identity_id): opted[key] for key in owned})
    changed = []
    for key, (at, by, out) in opted.items():
        last = kept[key][0] if key in kept and key not in owned else None
        if last is not None and (
            last.opted_at is None or last.opted_by is None or (last.opted_at, last.opted_by) < (at, by)
        ):
            changed.append(replace(last, opted_out=out, opted_at=at, opted_by=by))
    await address_hashes.save(tx, changed)
