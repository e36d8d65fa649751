"""Who a request means: from a contact or an address to the address that would be written to (contract 4.5)."""

from collections.abc import Collection, Mapping
from uuid import UUID

from schemas.sends import SendRequest
from workers.outbound.cases import Subject
from workers.rules.channels import Aim, Known, Unreachable, aim_at_address, aim_at_contact
from workers.rules.identities import REACHABLE_UNASKED, Identity, identify
from workers.runtime.batch import Connection
from workers.store import contacts, sends
from workers.store.contacts import ContactKey, IdentityKey, key_of
from workers.store.sends import OnFile, Owner, SendKey
from workers.store.workspaces import Workspace

Requests = Mapping[SendKey, SendRequest]


async def resolve(tx: Connection, requests: Requests, tenants: Mapping[str, Workspace]) -> dict[SendKey, Subject]:
    """The subject of each request. An unknown number or e-mail address makes its contact."""
    to_contact = {k: (r, r.to.contact_id) for k, r in requests.items() if r.to.contact_id is not None}
    to_address = {k: (r, r.to.address) for k, r in requests.items() if r.to.address is not None}
    return {
        **await _by_contact(tx, to_contact, tenants),
        **await _by_address(tx, to_address, tenants),
    }


async def _by_contact(
    tx: Connection, requests: Mapping[SendKey, tuple[SendRequest, UUID]], tenants: Mapping[str, Workspace]
) -> dict[SendKey, Subject]:
    wanted: set[ContactKey] = {(r.workspace_id, contact_id) for r, contact_id in requests.values()}
    if not wanted:
        return {}
    on_file = await sends.on_file(tx, wanted)
    identities = await sends.identities_of(tx, wanted)
    subjects = {}
    for key, (request, contact_id) in requests.items():
        contact = request.workspace_id, contact_id
        aim = _aim(request, on_file.get(contact), identities.get(contact, ()), tenants[request.workspace_id])
        subjects[key] = _subject(request, contact_id if contact in on_file else None, aim)
    return subjects


def _aim(request: SendRequest, on_file: OnFile | None, known: Collection[Known], tenant: Workspace) -> Aim:
    if on_file is None:
        return Unreachable("unknown_contact")
    written = on_file.email if request.channel == "email" else on_file.phone
    return aim_at_contact(request.channel, request.channel_id, known, written, tenant.region(request.channel_id))


async def _by_address(
    tx: Connection, requests: Mapping[SendKey, tuple[SendRequest, str]], tenants: Mapping[str, Workspace]
) -> dict[SendKey, Subject]:
    meant = {
        key: identify(r.channel, r.channel_id, address, tenants[r.workspace_id].region(r.channel_id))
        for key, (r, address) in requests.items()
    }
    keys = {key: key_of(key[0], identity) for key, identity in meant.items()}
    owners = await sends.owners(tx, set(keys.values()))
    owners |= await _make(tx, {k: meant[key] for key, k in keys.items() if k not in owners})
    subjects = {}
    for key, (request, _) in requests.items():
        owner = owners.get(keys[key])
        aim = aim_at_address(meant[key], owner.connected_at if owner is not None else None)
        subjects[key] = _subject(request, owner.contact_id if owner is not None else None, aim)
    return subjects


async def _make(tx: Connection, unknown: Mapping[IdentityKey, Identity]) -> dict[IdentityKey, Owner]:
    # The channel of the first interaction stays open: there has been none.
    writable = {k: (i, None) for k, i in unknown.items() if i.understood and i.channel in REACHABLE_UNASKED}
    if not writable:
        return {}
    owned, made = await contacts.find_or_add(tx, writable)
    await contacts.mark_dirty(tx, made)
    return await sends.owners(tx, owned.keys())


def _subject(request: SendRequest, contact_id: UUID | None, aim: Aim) -> Subject:
    return Subject(request.workspace_id, contact_id, request.channel, aim, request.run_id, request.requested_at)
