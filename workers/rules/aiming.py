"""What a channel and an address mean that somebody types, before anything is asked for: as requests and claims do."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.fields import CHANNELS
from workers.rules.address_hashes import HashKeys, address_hash
from workers.rules.identities import REACHABLE_UNASKED, ResolvedIdentity, identify, is_national, scope_of


@dataclass(frozen=True, slots=True)
class Aimed:
    """A channel, or any channel of a kind (`channel_ids`: all that there are), and the region of its numbers."""

    channel: str
    channel_id: str | None
    channel_ids: Sequence[str]
    region: str | None


def aim(named: str, region: str | None, channels: Sequence[Mapping[str, Any]]) -> Aimed | None:
    """The channel of this id; else every channel of this kind, as `may_send` reads it; None: it is neither.

    `region`: the workspace's. `channels`: its channels with this id or of this kind, with `channel_id`, `channel` and
    `default_region`.
    """
    for row in channels:
        if row["channel_id"] == named:
            return Aimed(row["channel"], named, [named], row["default_region"] or region)
    if named not in CHANNELS:
        return None
    regions = {row["default_region"] for row in channels if row["default_region"]}
    only = regions.pop() if len(regions) == 1 else None
    return Aimed(named, None, [row["channel_id"] for row in channels], region or only)


def understood(address: str, aimed: Aimed) -> ResolvedIdentity | None:
    """Whose address it is; None: it is a number in national form, and nobody can tell of which country."""
    if aimed.channel_id is None and aimed.region is None and is_national(aimed.channel, address):
        return None
    return identify(aimed.channel, aimed.channel_id or "", address, aimed.region)


def kept_address(
    aimed: Aimed, channels: Collection[Mapping[str, Any]], contact: Mapping[str, Any] | None
) -> str | None:
    """The address that a send to a contact would go to, if deleted contacts can speak against it.

    What they leave with an address goes over to who gets it, so it speaks only against a number or e-mail address that
    is nobody's identity. Of several identities the function `may_send` chooses one, and none needs a hash. `channels`:
    those of the contact.
    """
    if aimed.channel not in REACHABLE_UNASKED:
        return None
    found = {row["address"] for row in channels if row["channel"] == aimed.channel and row["address"] is not None}
    if not found and contact is not None:
        on_file: str | None = contact["email" if aimed.channel == "email" else "phone"]
        return on_file
    return found.pop() if len(found) == 1 else None


def hashes_of(keys: HashKeys, workspace_id: str, aimed: Aimed, meant: Iterable[ResolvedIdentity]) -> list[bytes]:
    """What may be kept of these addresses from deleted contacts."""
    scopes = {scope_of(aimed.channel, channel_id) for channel_id in aimed.channel_ids or [""]}
    return [
        address_hash(key, workspace_id, identity.channel, scope, identity.lookup)
        for identity in meant
        for scope in sorted(scopes)
        for key in keys.known
    ]
