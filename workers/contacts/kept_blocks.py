"""unblock_contact of an address whose contact was deleted: the block is kept with the hash of the address."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from msgspec.structs import replace

from schemas.contact_commands import UnblockContact
from workers.commands.command_record import CommandRecord
from workers.commands.targets import DELETED, Targets
from workers.errors import RetryBatch
from workers.rules.blocks import BlockCommand, blocked_now, insert, order_key
from workers.rules.results import Done, Result
from workers.store import address_hashes, contacts, deletions
from workers.store.address_hashes import KeptAddress
from workers.store.commands import CommandKey
from workers.store.connection import Connection

_QUIET: Final = {"runs_halted": 0, "holds_cancelled": 0, "messages_revised": 0}


async def lift(tx: Connection, asked: Sequence[CommandRecord[Any]], targets: Targets) -> dict[CommandKey, Result]:
    """The results of those of the commands that are about a deleted contact, named by its id or an address that nobody
    has now.

    Raises:
        RetryBatch: somebody got one of the addresses, and with it the block, before this transaction locked it.
    """
    unblocks = [a for a in asked if isinstance(a.command, UnblockContact)]
    if not unblocks:
        return {}
    # A later command of this batch made the owner of an address: what was left of a block is that contact's by now.
    owned = {targets.keys[key] for key in targets.made}
    keys = {targets.keys[a.key] for a in unblocks if a.key in targets.keys} - owned
    named = {contact for a in unblocks if (contact := targets.named.get(a.key)) in targets.deleted}
    gone = {contact for contact in named if contact is not None}
    await deletions.free_addresses(tx, keys)
    await deletions.free_addresses_of(tx, gone)
    by_address = await address_hashes.find_locked(tx, keys)
    if await contacts.find(tx, by_address.keys()):
        raise RetryBatch("an address of a deleted contact got another owner before it was locked")
    by_contact = await address_hashes.lock_of_contacts(tx, gone)
    state = {(k.hash, k.identity_id): k for k in [*by_contact, *(k for some in by_address.values() for k in some)]}
    results: dict[CommandKey, Result] = {}
    for a in unblocks:
        contact = targets.named.get(a.key)
        if a.key in targets.keys:
            about = [(k.hash, k.identity_id) for k in by_address.get(targets.keys[a.key], ())]
        else:
            about = [(k.hash, k.identity_id) for k in by_contact if (k.workspace_id, k.contact_id) == contact]
        blocked = [place for place in about if state[place].commands]
        lifted = [place for place in blocked if blocked_now(state[place].intervals) is not None]
        state |= {place: _unblocked(state[place], a) for place in blocked}
        lifted = [place for place in lifted if blocked_now(state[place].intervals) is None]
        if blocked:
            results[a.key] = Done(_QUIET if lifted else {})
        elif contact in targets.deleted:
            results[a.key] = DELETED
    await address_hashes.save(tx, _changed(state.values(), [*by_contact, *(k for s in by_address.values() for k in s)]))
    return results


def _unblocked(kept: KeptAddress, a: CommandRecord[UnblockContact]) -> KeptAddress:
    commands = sorted(kept.commands, key=order_key)
    insert(
        commands, BlockCommand(a.stamp.at, unblocks=True, command_id=a.command.command_id, actor_id=a.command.actor.id)
    )
    return replace(kept, commands=tuple(commands))


def _changed(now: Iterable[KeptAddress], before: Iterable[KeptAddress]) -> list[KeptAddress]:
    known = {(k.hash, k.identity_id): k for k in before}
    return [k for k in now if k != known[k.hash, k.identity_id]]
