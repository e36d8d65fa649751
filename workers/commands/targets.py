"""The target contacts of commands: named by id or by an address, and locked until the batch ends."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from schemas import actors
from schemas.actors import TargetCommand
from schemas.contact_commands import BlockContact, CreateContact
from workers.commands.command_record import CommandRecord
from workers.rules.contact import Contact, ContactKey
from workers.rules.identities import ResolvedIdentity, identify, is_national
from workers.rules.results import Refused
from workers.store import contacts, senders
from workers.store.commands import CommandKey
from workers.store.connection import Connection
from workers.store.contacts import IdentityKey
from workers.store.workspaces import Workspace
from workers.tasks import paced

_WHICH_COUNTRY: Final = Refused(
    "invalid",
    "`identity.address`: a number in national form, and the workspace has no region, nor its channels of this kind one "
    "and the same; give it with `+` and the country's code, or name its `channel_id`",
)
_NO_ADDRESS: Final = Refused(
    "invalid",
    "`identity.address`: expected a possible telephone number or one bare e-mail address, as its channel asks for",
)


@dataclass(frozen=True, slots=True)
class Targets:
    """`named`: the contact of each command, if its address has one. `existing`: those that exist, locked for update.

    `refused`: commands with an ambiguous address, or with one that cannot become a contact. `made`: commands that
    inserted their contact.
    """

    named: Mapping[CommandKey, ContactKey]
    existing: Mapping[ContactKey, Contact]
    refused: Mapping[CommandKey, Refused]
    made: Collection[CommandKey] = ()

    def of(self, asked: CommandRecord[Any]) -> ContactKey | None:
        """The contact of the command; None if there is none."""
        key = self.named.get(asked.key)
        return key if key in self.existing else None


async def resolve(
    tx: Connection,
    asked: Sequence[CommandRecord[Any]],
    due: Collection[CommandKey],
    tenants: Mapping[str, Workspace],
    changed: Collection[ContactKey],
    others: Collection[ContactKey],
) -> Targets:
    """The targets of all commands among `asked` that have one. Locks those of the commands in `due`, with the contacts
    that they change besides and the `others`.

    A block or a creation that is due inserts the contact of an unknown address. An earlier command on that address
    still finds no contact, whether or not the two come in one batch.
    """
    aimed = [a for a in asked if isinstance(a.command, TargetCommand | CreateContact)]
    identities: dict[CommandKey, ResolvedIdentity] = {}
    refused: dict[CommandKey, Refused] = {}
    async for a in paced(aimed):
        match a.command.identity and _understand(a.command.identity, tenants[a.command.workspace_id]):
            case ResolvedIdentity(understood=False) if isinstance(a.command, CreateContact):
                refused[a.key] = _NO_ADDRESS
            case ResolvedIdentity() as identity:
                identities[a.key] = identity
            case Refused() as refusal:
                refused[a.key] = refusal
    keys = {key: contacts.key_of(key[0], identity) for key, identity in identities.items()}
    owned = await contacts.find(tx, set(keys.values())) if keys else {}
    first = _first_makers(aimed, due, keys, owned)
    made: set[CommandKey] = set()
    if first:
        wanted = {keys[a.key]: (identities[a.key], identities[a.key].scope or None) for a in first.values()}
        found, added = await senders.find_or_add(tx, wanted)
        owned |= found
        made = {first[key].key for key in added}

    named: dict[CommandKey, ContactKey] = {}
    for a in aimed:
        workspace_id = a.command.workspace_id
        if isinstance(a.command, TargetCommand) and a.command.contact_id is not None:
            named[a.key] = workspace_id, a.command.contact_id
            continue
        key = keys.get(a.key)
        if key is not None and key in owned and (key not in first or first[key].position <= a.position):
            named[a.key] = workspace_id, owned[key].contact_id
    to_lock = {contact for key, contact in named.items() if key in due} | set(changed)
    # A batch without targets of its own may lock the others later; otherwise one sorted statement locks all.
    to_lock |= set(others) if to_lock else set()
    return Targets(named, await contacts.lock_for_update(tx, to_lock) if to_lock else {}, refused, made)


def _understand(given: actors.Identity, tenant: Workspace) -> ResolvedIdentity | Refused:
    region = tenant.region_of(given.channel, given.channel_id)
    if given.channel_id is None and region is None and is_national(given.channel, given.address):
        return _WHICH_COUNTRY
    return identify(given.channel, given.channel_id or "", given.address, region)


def _first_makers(
    aimed: Sequence[CommandRecord[Any]],
    due: Collection[CommandKey],
    keys: Mapping[CommandKey, IdentityKey],
    owned: Collection[IdentityKey],
) -> dict[IdentityKey, CommandRecord[Any]]:
    first: dict[IdentityKey, CommandRecord[Any]] = {}
    for a in aimed:
        makes = isinstance(a.command, BlockContact | CreateContact) and a.key in due
        if makes and a.key in keys and keys[a.key] not in owned:
            first.setdefault(keys[a.key], a)
    return first
