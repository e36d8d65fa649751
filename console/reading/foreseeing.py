"""What would become of a send or a command, before it is given."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import msgspec

from console.reading import contacts
from workers.process.queries import statements
from workers.rules.address_hashes import HashKeys
from workers.rules.aiming import Aimed, aim, hashes_of, kept_address, understood
from workers.rules.identities import ResolvedIdentity

_SQL: Final = statements("console", "foreseeing")
_REGIONLESS: Final = (
    "a number in national form, and the workspace has no region, nor its channels of this kind one and the same: give "
    "it with + and the country's code, or name the channel by its id"
)
_NOTHING: Final = {"runs": 0, "holds": 0, "messages": 0, "contacts": 0, "active_contacts": 0}


async def may_send(
    connection: Any, keys: HashKeys, workspace_id: str, to: UUID | str, channel: str
) -> Mapping[str, Any]:
    """Whether a contact, or an address as somebody types it, may be written to now on a channel or a kind of channels:
    `allowed`, `reason`, `reasons`, by the same rules as requests and claims.

    Raises:
        ValueError: there is no such channel, or the number cannot be read without a region; the text says which.
    """
    aimed = await _aimed(connection, workspace_id, channel)
    if aimed is None:
        raise ValueError("channel: the workspace has none with this id, and it is no kind of channel")
    if isinstance(to, UUID):
        kept = await _kept(connection, workspace_id, to, aimed)
        hashes = hashes_of(keys, workspace_id, aimed, [] if kept is None else [_meant(kept, aimed)])
        row = await connection.fetchrow(_SQL["may_send_to_contact"], workspace_id, to, channel, hashes)
    else:
        meant = _meant(to, aimed)
        hashes = hashes_of(keys, workspace_id, aimed, [meant])
        row = await connection.fetchrow(_SQL["may_send_to_address"], workspace_id, meant.lookup, channel, hashes)
    return dict(row)


async def impact(connection: Any, workspace_id: str, command: bytes) -> Mapping[str, int]:
    """What a command that blocks, protects, merges or deletes would touch: `runs`, `holds`, `messages`, `contacts`,
    `active_contacts`; zeros for all others, and for what it would be refused for. A figure above 10,000 is 10,001.
    `command`: the value of its record; it would be given now.

    Raises:
        ValueError: an address in it cannot be read without a region.
    """
    given = msgspec.json.decode(command)
    given.pop("issued_at", None)  # the database's clock counts, as this machine's may be wrong
    identity = given.get("identity")
    if identity is not None:
        aimed = await _aimed(connection, workspace_id, identity.get("channel_id") or identity["channel"])
        if aimed is None or aimed.channel != identity["channel"]:
            aimed = await _aimed(connection, workspace_id, identity["channel"])
        if aimed is not None:
            given["identity"] = identity | {"address": _meant(identity["address"], aimed).lookup}
    row = await connection.fetchrow(_SQL["impact"], workspace_id, given)
    return dict(_NOTHING) if row is None else dict(row)


async def channel_of(connection: Any, workspace_id: str, channel_id: str) -> str | None:
    """The kind of a channel; None: the workspace has no record of it."""
    kind: str | None = await connection.fetchval(_SQL["channel"], workspace_id, channel_id)
    return kind


async def _aimed(connection: Any, workspace_id: str, named: str) -> Aimed | None:
    region = await connection.fetchval(_SQL["region"], workspace_id)
    return aim(named, region, await connection.fetch(_SQL["channels_named"], workspace_id, named))


def _meant(address: str, aimed: Aimed) -> ResolvedIdentity:
    meant = understood(address, aimed)
    if meant is None:
        raise ValueError(f"address: {_REGIONLESS}")
    return meant


async def _kept(connection: Any, workspace_id: str, contact_id: UUID, aimed: Aimed) -> str | None:
    present = await contacts.present(connection, workspace_id, contact_id)
    channels = await connection.fetch(_SQL["channels_of_contact"], workspace_id, present)
    return kept_address(aimed, channels, await contacts.contact(connection, workspace_id, present))
