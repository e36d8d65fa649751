"""The contacts that commands are about: named by id or by an address, and locked for as long as the batch takes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas import actors
from schemas.commands import BlockContact, TargetCommand
from workers.commands.asked import Asked
from workers.rules.identities import Identity, identify
from workers.runtime.batch import Connection
from workers.store import contacts
from workers.store.commands import CommandKey
from workers.store.contacts import ContactKey, IdentityKey
from workers.store.workspaces import Workspace


@dataclass(frozen=True, slots=True)
class Targets:
    """`named`: whom each command means, if its address is anybody's. `existing`: those there are, locked for update."""

    named: Mapping[CommandKey, ContactKey]
    existing: Collection[ContactKey]

    def of(self, asked: Asked[Any]) -> ContactKey | None:
        """The contact to work on; None if there is none."""
        key = self.named.get(asked.key)
        return key if key in self.existing else None


async def resolve(
    tx: Connection,
    asked: Sequence[Asked[Any]],
    due: Collection[CommandKey],
    tenants: Mapping[str, Workspace],
    others: Collection[ContactKey],
) -> Targets:
    """The targets of all target commands among `asked`; those of the commands in `due` are locked, with the `others`.

    A block that is due makes the contact of an address nobody had. A command on that address given before the block
    still finds nobody, whether or not the two come in one batch.
    """
    aimed = [a for a in asked if isinstance(a.command, TargetCommand)]
    identities = {
        a.key: _understand(a.command.identity, tenants[a.command.workspace_id])
        for a in aimed
        if a.command.identity is not None
    }
    keys = {key: contacts.key_of(key[0], identity) for key, identity in identities.items()}
    owned = await contacts.find(tx, set(keys.values())) if keys else {}
    first = _first_blocks(aimed, due, keys, owned)
    if first:
        wanted = {keys[a.key]: (identities[a.key], identities[a.key].scope or None) for a in first.values()}
        owned |= (await contacts.find_or_add(tx, wanted))[0]

    named: dict[CommandKey, ContactKey] = {}
    for a in aimed:
        workspace_id = a.command.workspace_id
        if a.command.contact_id is not None:
            named[a.key] = workspace_id, a.command.contact_id
            continue
        key = keys[a.key]
        if key in owned and (key not in first or first[key].position <= a.position):
            named[a.key] = workspace_id, owned[key].contact_id
    to_lock = {contact for key, contact in named.items() if key in due}
    # Without a target of its own the batch may lock the others when it comes to them; else all in one sorted statement.
    to_lock |= set(others) if to_lock else set()
    return Targets(named, await contacts.lock_for_update(tx, to_lock) if to_lock else {})


def _understand(given: actors.Identity, tenant: Workspace) -> Identity:
    channel_id = given.channel_id or ""
    return identify(given.channel, channel_id, given.address, tenant.region(channel_id))


def _first_blocks(
    aimed: Sequence[Asked[Any]],
    due: Collection[CommandKey],
    keys: Mapping[CommandKey, IdentityKey],
    owned: Collection[IdentityKey],
) -> dict[IdentityKey, Asked[Any]]:
    first: dict[IdentityKey, Asked[Any]] = {}
    for a in aimed:
        blocks = isinstance(a.command, BlockContact) and a.key in due
        if blocks and a.key in keys and keys[a.key] not in owned:
            first.setdefault(keys[a.key], a)
    return first
