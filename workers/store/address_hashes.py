"""Keyed hashes of the addresses of deleted contacts: they tell whose a late message is, and keep blocks and opt-outs
until somebody has the address again.

The keys belong to the process and are set once, at its start.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from workers.errors import SettingsError
from workers.rules.address_hashes import HashKeys, address_hash, key_id
from workers.rules.blocks import BlockCommand, Interval, blocked_now, history
from workers.rules.contact import ContactKey
from workers.store.arrays import columns, literal
from workers.store.connection import Connection, changed_rows
from workers.store.contacts import IdentityKey
from workers.store.queries import load

_SQL: Final = load("address_hashes")
_KEPT_DAYS: Final = 14
_COMMANDS: Final = msgspec.json.Decoder(tuple[BlockCommand, ...])
_FOREIGN: Final = (
    "SLUICE_HASH_KEY is not the key that the addresses of deleted contacts were hashed with: set that key again, or "
    "give it as SLUICE_HASH_KEY_OLD while it is replaced"
)


class KeptAddress(Struct, frozen=True):
    """A hash: the contact had the address in [began_at, ended_at). `commands`: a block that had not ended then, and
    what came since. `opted_at` None: nobody ever opted out or in.
    """

    workspace_id: str
    hash: bytes
    identity_id: int
    contact_id: UUID
    began_at: datetime | None
    ended_at: datetime
    commands: tuple[BlockCommand, ...] = ()
    opted_out: bool = False
    opted_at: datetime | None = None
    opted_by: UUID | None = None

    @property
    def intervals(self) -> tuple[Interval, ...]:
        return history(self.commands)


class _Keys:
    """The keys of this process."""

    present = HashKeys()


def use(keys: HashKeys) -> None:
    """Sets the keys of this process."""
    _Keys.present = keys


def can_hash() -> bool:
    """Whether this process has a key, without which it deletes nobody."""
    return _Keys.present.current is not None


def hashes_of(key: IdentityKey) -> list[bytes]:
    """The hashes of an address, by each key of this process."""
    return [address_hash(secret, *key) for secret in _Keys.present.known]


async def check_keys(tx: Connection) -> bool:
    """Whether anything was ever hashed.

    Raises:
        SettingsError: there are hashes by a key that this process does not have.
    """
    used = {key for (key,) in await tx.fetch(_SQL["key_ids"])}
    foreign = used - set(map(key_id, _Keys.present.known))
    if foreign and await tx.fetchval(_SQL["is_used"], sorted(foreign)):
        raise SettingsError(_FOREIGN)
    return bool(used)


async def add(tx: Connection, kept: Iterable[tuple[IdentityKey, KeptAddress]]) -> None:
    """Stores the addresses of contacts that are deleted; the hashes are made here."""
    secret = _Keys.present.current
    if secret is None:
        raise SettingsError("SLUICE_HASH_KEY is not set: without it no contact can be deleted")
    await tx.execute(_SQL["add_key"], key_id(secret))
    rows = [
        (k.workspace_id, address_hash(secret, *key), k.identity_id, k.contact_id, k.began_at, k.ended_at, *_state(k))
        for key, k in kept
    ]
    await tx.execute(_SQL["add"], key_id(secret), _KEPT_DAYS, *columns(rows, 12))


async def find(tx: Connection, keys: Collection[IdentityKey]) -> dict[IdentityKey, list[KeptAddress]]:
    """The deleted contacts that had these addresses, the last one first. Renews hashes by the old key.

    Raises:
        SettingsError: as `check_keys`.
    """
    if not keys or not await check_keys(tx):
        return {}
    ordered = list(keys)
    return await _find(tx, ordered, [(n, key.workspace_id, h) for n, key in enumerate(ordered) for h in hashes_of(key)])


async def find_locked(tx: Connection, keys: Collection[IdentityKey]) -> dict[IdentityKey, list[KeptAddress]]:
    """As `find`, and no other transaction changes them until this one ends."""
    if not keys or not await check_keys(tx):
        return {}
    ordered = list(keys)
    wanted = [(n, key.workspace_id, h) for n, key in enumerate(ordered) for h in hashes_of(key)]
    await tx.execute(_SQL["lock"], *columns([(w, h) for _, w, h in wanted], 2))
    return await _find(tx, ordered, wanted)


async def _find(
    tx: Connection, ordered: Sequence[IdentityKey], wanted: Sequence[tuple[int, str, bytes]]
) -> dict[IdentityKey, list[KeptAddress]]:
    found: defaultdict[IdentityKey, list[KeptAddress]] = defaultdict(list)
    renewed: set[tuple[str, bytes, bytes]] = set()
    secret = _Keys.present.current
    for position, hash_, by, *others in await tx.fetch(_SQL["find"], *columns(wanted, 3)):
        key = ordered[position]
        kept = _kept(key.workspace_id, hash_, *others)
        if secret is not None and by != key_id(secret):
            kept = replace(kept, hash=address_hash(secret, *key))
            renewed.add((key.workspace_id, hash_, kept.hash))
        found[key].append(kept)
    if renewed and secret is not None:
        await tx.execute(_SQL["add_key"], key_id(secret))
        await tx.execute(_SQL["renew"], key_id(secret), _KEPT_DAYS, *columns(sorted(renewed), 3))
    return {key: sorted(some, key=lambda k: k.ended_at, reverse=True) for key, some in found.items()}


async def lock_of_contacts(tx: Connection, contacts: Collection[ContactKey]) -> list[KeptAddress]:
    """The addresses of these deleted contacts. No other transaction changes them until this one ends."""
    if not contacts:
        return []
    rows = await tx.fetch(_SQL["lock_of_contacts"], *columns(sorted(contacts), 2))
    return [_kept(workspace_id, hash_, *others) for workspace_id, hash_, _, *others in rows]


async def save(tx: Connection, changed: Iterable[KeptAddress]) -> None:
    """Saves blocks and opt-outs of hashes that are locked."""
    rows = [(k.workspace_id, k.hash, k.identity_id, *_state(k)) for k in changed]
    if rows:
        await tx.execute(_SQL["save"], _KEPT_DAYS, *columns(rows, 9))


async def pass_on(tx: Connection, new: Mapping[IdentityKey, int]) -> dict[IdentityKey, list[KeptAddress]]:
    """Passes opt-outs to new identities of addresses that deleted contacts had, and lets them begin where those ended.
    Returns what was kept: the blocks are the caller's to pass on. The hashes have neither any more.
    """
    found = await find_locked(tx, new.keys())
    if not found:
        return {}
    rows = []
    for key, kept in found.items():
        opted = max((k for k in kept if k.opted_at is not None), key=lambda k: (k.opted_at, k.opted_by), default=None)
        said = (opted.opted_out, opted.opted_at, opted.opted_by) if opted is not None else (False, None, None)
        rows.append((key.workspace_id, new[key], kept[0].ended_at, *said))
    await tx.execute(_SQL["inherit"], *columns(rows, 6))
    nothing: dict[str, Any] = {"commands": (), "opted_out": False, "opted_at": None, "opted_by": None}
    passed = [k for kept in found.values() for k in kept if k.commands or k.opted_at is not None]
    await save(tx, [replace(k, **nothing) for k in passed])
    return found


async def forget(tx: Connection, now: datetime, limit: int) -> int:
    """Deletes hashes that nobody needs any more, at most `limit`, and as many by an old key that were renewed. Returns
    how many of the first.
    """
    await tx.execute(_SQL["forget_former"], now, limit)
    return changed_rows(await tx.execute(_SQL["forget"], now, limit))


def _kept(
    workspace_id: str,
    hash_: bytes,
    identity_id: int,
    contact_id: UUID,
    began_at: datetime | None,
    ended_at: datetime,
    commands: str,
    *opted: Any,
) -> KeptAddress:
    decoded = _COMMANDS.decode(commands)
    return KeptAddress(workspace_id, hash_, identity_id, contact_id, began_at, ended_at, decoded, *opted)


def _state(kept: KeptAddress) -> tuple[Any, ...]:
    ends = ((i.start.isoformat(), i.end.isoformat() if i.end is not None else "") for i in kept.intervals)
    blocks = literal([f"[{start},{end})" for start, end in ends])
    blocked = blocked_now(kept.intervals) is not None
    commands = msgspec.json.encode(kept.commands).decode()
    return commands, blocks, blocked, kept.opted_out, kept.opted_at, kept.opted_by
