"""The target contacts of commands: named by id or by an address, and locked until the batch ends."""

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from schemas import actors
from schemas.actors import TargetCommand
from schemas.contact_commands import BlockContact, CreateContact, RemoveChannel, UnblockContact
from workers.commands.command_record import CommandRecord
from workers.process.tasks import paced
from workers.rules.contact import Contact, ContactKey
from workers.rules.identities import ResolvedIdentity, identify, is_national
from workers.rules.results import Refused
from workers.store import contacts, deletions, senders
from workers.store.commands import CommandKey
from workers.store.connection import Connection
from workers.store.contacts import IdentityKey, Owned
from workers.store.workspaces import Workspace

_WHICH_COUNTRY: Final = Refused(
    "invalid",
    "`identity.address`: a number in national form, and the workspace has no region, nor its channels of this kind one "
    "and the same; give it with `+` and the country's code, or name its `channel_id`",
)
NO_ADDRESS: Final = Refused(
    "invalid",
    "`identity.address`: expected a possible telephone number or one bare e-mail address, as its channel asks for",
)
_PRESENT: Final = datetime.max.replace(tzinfo=UTC)
_Moment = tuple[IdentityKey, datetime]
DELETED: Final = Refused("contact_deleted", "`contact_id`: this contact was deleted")


@dataclass(frozen=True, slots=True)
class Targets:
    """`named`: the contact of each command, if its address has one; of one that was merged away the survivor.
    `existing`: those that exist, locked for update.

    `refused`: commands with an ambiguous address, or with one that cannot become a contact. `made`: commands that
    inserted their contact. `keys`: the address that each command names; `addresses`: who had it when the command was
    given. `deleted`: the contacts among `named` that were deleted.
    """

    named: Mapping[CommandKey, ContactKey]
    existing: Mapping[ContactKey, Contact]
    refused: Mapping[CommandKey, Refused]
    made: Collection[CommandKey] = ()
    addresses: Mapping[CommandKey, Owned] = field(default_factory=dict)
    keys: Mapping[CommandKey, IdentityKey] = field(default_factory=dict)
    deleted: Collection[ContactKey] = ()

    def of(self, asked: CommandRecord[Any]) -> ContactKey | None:
        """The contact of the command; None if there is none."""
        key = self.named.get(asked.key)
        return key if key in self.existing else None


async def resolve(
    tx: Connection,
    asked: Sequence[CommandRecord[Any]],
    due: Set[CommandKey],
    tenants: Mapping[str, Workspace],
    changed: Collection[ContactKey],
    others: Collection[ContactKey],
) -> Targets:
    """The targets of all commands among `asked` that have one. Locks those of the commands in `due`, with the contacts
    that they change besides and the `others`. An address is that of who had it when the command was given.

    A block or a creation that is due inserts the contact of an unknown address. An earlier command on that address
    still finds no contact, whether or not the two come in one batch.

    Raises:
        RetryBatch: an address moved to another contact while this transaction waited for its owner.
    """
    aimed = [a for a in asked if isinstance(a.command, TargetCommand | CreateContact | RemoveChannel)]
    identities, refused = await _understood(aimed, tenants)
    keys = {key: contacts.key_of(key[0], identity) for key, identity in identities.items()}
    moments, owned = await _owners(tx, [a for a in aimed if a.key in keys], keys)
    addresses = {key: owned[moment] for key, moment in moments.items() if moment in owned}
    first = _first_makers(aimed, due, keys, addresses)
    made: set[CommandKey] = set()
    new: dict[CommandKey, ContactKey] = {}
    if first:
        wanted = {keys[a.key]: (identities[a.key], identities[a.key].scope or None) for a in first.values()}
        found, added = await senders.find_or_add(tx, wanted)
        made = {first[key].key for key in added}
        for a in aimed:
            key = keys.get(a.key)
            if key in first and a.key not in addresses and first[key].position <= a.position:
                addresses[a.key] = found[key]
            elif key is not None and key in added and isinstance(a.command, UnblockContact):
                new[a.key] = key.workspace_id, found[key].contact_id

    named = {key: (key[0], owner.contact_id) for key, owner in addresses.items()}
    for a in aimed:
        if isinstance(a.command, TargetCommand) and a.command.contact_id is not None:
            named[a.key] = a.command.workspace_id, a.command.contact_id
    deleted = await deletions.among(tx, {contact for key, contact in named.items() if key in due})
    # An unblock lifts what is left of a deleted contact's block.
    lifting = {a.key for a in aimed if isinstance(a.command, UnblockContact)}
    refused |= {key: DELETED for key, contact in named.items() if contact in deleted and key in due - lifting}
    to_lock = {contact for key, contact in named.items() if key in due} | set(changed)
    # A batch without targets of its own may lock the others later; otherwise one sorted statement locks all.
    to_lock |= set(others) if to_lock else set()
    present = await contacts.lock_present(tx, to_lock) if to_lock else {}
    await contacts.require_same_owners(tx, owned)
    # What was left of a block went to who was made by a later command of this batch: an earlier unblock is of them.
    named |= {key: contact for key, contact in new.items() if contact in present and present[contact].intervals}
    named = {key: present[contact].key if contact in present else contact for key, contact in named.items()}
    return Targets(named, {c.key: c for c in present.values()}, refused, made, addresses, keys, deleted)


async def _understood(
    aimed: Sequence[CommandRecord[Any]], tenants: Mapping[str, Workspace]
) -> tuple[dict[CommandKey, ResolvedIdentity], dict[CommandKey, Refused]]:
    """The address that each command names, and those that nobody can understand."""
    identities: dict[CommandKey, ResolvedIdentity] = {}
    refused: dict[CommandKey, Refused] = {}
    async for a in paced(aimed):
        match a.command.identity and understand(a.command.identity, tenants[a.command.workspace_id]):
            case ResolvedIdentity(understood=False) if isinstance(a.command, CreateContact):
                refused[a.key] = NO_ADDRESS
            case ResolvedIdentity() as identity:
                identities[a.key] = identity
            case Refused() as refusal:
                refused[a.key] = refusal
    return identities, refused


async def _owners(
    tx: Connection, aimed: Sequence[CommandRecord[Any]], keys: Mapping[CommandKey, IdentityKey]
) -> tuple[dict[CommandKey, _Moment], dict[_Moment, Owned]]:
    """Whose each address was when the command was given: at which moment that is asked, and the owners found."""
    moments = {a.key: (keys[a.key], a.stamp.at) for a in aimed}
    owned = await contacts.find_at(tx, set(moments.values())) if moments else {}
    # The block of a deleted contact went to who has the address now: so does an unblock of before the deletion.
    nobodys = [a for a in aimed if isinstance(a.command, UnblockContact) and moments[a.key] not in owned]
    if nobodys:
        moments |= {a.key: (keys[a.key], _PRESENT) for a in nobodys}
        owned |= await contacts.find_at(tx, {moments[a.key] for a in nobodys})
    return moments, owned


def understand(given: actors.Identity, tenant: Workspace) -> ResolvedIdentity | Refused:
    """The identity that a command names; refused if nobody can tell of which country its number is."""
    region = tenant.region_of(given.channel, given.channel_id)
    if given.channel_id is None and region is None and is_national(given.channel, given.address):
        return _WHICH_COUNTRY
    return identify(given.channel, given.channel_id or "", given.address, region)


def _first_makers(
    aimed: Sequence[CommandRecord[Any]],
    due: Collection[CommandKey],
    keys: Mapping[CommandKey, IdentityKey],
    known: Collection[CommandKey],
) -> dict[IdentityKey, CommandRecord[Any]]:
    first: dict[IdentityKey, CommandRecord[Any]] = {}
    for a in aimed:
        makes = isinstance(a.command, BlockContact | CreateContact) and a.key in due
        if makes and a.key in keys and a.key not in known:
            first.setdefault(keys[a.key], a)
    return first
