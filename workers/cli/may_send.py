"""`sluice may-send`: whether a send would be dispatched now, by the same rules as requests and claims."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from schemas.fields import CHANNELS
from workers.app.database_failures import reading
from workers.app.settings import Settings
from workers.cli.pages import Page
from workers.errors import NotFound, SettingsError
from workers.rules import wording
from workers.rules.address_hashes import HashKeys, address_hash
from workers.rules.identities import REACHABLE_UNASKED, ResolvedIdentity, identify, is_national, scope_of
from workers.store import reports, send_reports
from workers.store.connection import Connection

_UNKNOWN: Final = (
    "SLUICE_HASH_KEY is not set: it is not known whether a deleted contact had this address and was blocked or had "
    "opted out. A request might be refused for that."
)
_REGIONLESS: Final = (
    "--address: a number in national form, and the workspace has no region, nor its channels of this kind one and the "
    "same: give it with + and the country's code, or name the channel by its id"
)


@dataclass(frozen=True, slots=True)
class Aimed:
    """A channel, or any channel of a kind (`channel_ids`: all that there are), and the region of its numbers."""

    channel: str
    channel_id: str | None
    channel_ids: Sequence[str]
    region: str | None


async def asked(
    settings: Settings, workspace: str, contact_id: UUID | None, address: str | None, channel: str
) -> dict[str, Any]:
    """Whether this contact, or this address as somebody types it, may be written to now; with all reasons if not.

    Raises:
        NotFound: there is no such workspace or channel.
        SettingsError: the number cannot be read without a region.
    """
    keys = settings.hash_keys()
    async with reading(settings) as tx:
        aimed = await _aimed(tx, workspace, channel)
        if contact_id is not None:
            kept = await _kept(tx, workspace, contact_id, aimed)
            hashes = _hashes(keys, workspace, aimed, kept)
            row = await send_reports.may_send_to_contact(tx, workspace, contact_id, channel, hashes)
        else:
            meant = _understood(address or "", aimed)
            hashes = _hashes(keys, workspace, aimed, [meant])
            row = await send_reports.may_send_to_address(tx, workspace, meant.lookup, channel, hashes)
            address = meant.lookup
    return {
        "workspace_id": workspace,
        "contact_id": contact_id,
        "address": address,
        "channel": aimed.channel,
        "channel_id": aimed.channel_id,
        **dict(row),
        "reasons_in_words": [wording.reason(code) for code in row["reasons"]],
        "not_known": None if keys.known else _UNKNOWN,
    }


def page(answer: Mapping[str, Any]) -> Page:
    """The answer as people read it."""
    whom = f"contact {answer['contact_id']}" if answer["contact_id"] is not None else answer["address"]
    where = answer["channel"] if answer["channel_id"] is None else f"{answer['channel']} ({answer['channel_id']})"
    return {
        "may send": wording.verdict(answer["reasons"]),
        "to": f"{whom} on {where}",
        "because": answer["reasons_in_words"],
        "not known": answer["not_known"],
    }


async def _aimed(tx: Connection, workspace: str, named: str) -> Aimed:
    """The channel of this id; else every channel of this kind, as the function `may_send` reads it."""
    policies = await send_reports.region(tx, workspace)
    if policies is None:
        raise NotFound(f"there is no workspace {workspace!r}")
    rows = await send_reports.channels_named(tx, workspace, named)
    region: str | None = policies["default_region"]
    for row in rows:
        if row["channel_id"] == named:
            return Aimed(row["channel"], named, [named], row["default_region"] or region)
    if named not in CHANNELS:
        raise NotFound(f"workspace {workspace!r} has no channel {named!r}, and it is no kind of channel")
    regions = {row["default_region"] for row in rows if row["default_region"]}
    return Aimed(named, None, [r["channel_id"] for r in rows], region or (regions.pop() if len(regions) == 1 else None))


def _understood(address: str, aimed: Aimed) -> ResolvedIdentity:
    if aimed.channel_id is None and aimed.region is None and is_national(aimed.channel, address):
        raise SettingsError(_REGIONLESS)
    return identify(aimed.channel, aimed.channel_id or "", address, aimed.region)


async def _kept(tx: Connection, workspace: str, contact_id: UUID, aimed: Aimed) -> list[ResolvedIdentity]:
    """The address that a send to the contact would go to, if deleted contacts can speak against it.

    What they leave with an address goes over to who gets it, so it speaks only against a number or e-mail address that
    is nobody's identity.
    """
    if aimed.channel not in REACHABLE_UNASKED:
        return []
    present = await reports.present(tx, workspace, contact_id)
    channels = await reports.channels_of_contact(tx, workspace, present)
    addresses = {row["address"] for row in channels if row["channel"] == aimed.channel and row["address"] is not None}
    contact = await reports.contact(tx, workspace, present)
    if not addresses and contact is not None:
        on_file = contact["email" if aimed.channel == "email" else "phone"]
        addresses = {on_file} if on_file is not None else set()
    # Of several identities the function chooses one, and none needs a hash.
    return [_understood(address, aimed) for address in addresses] if len(addresses) == 1 else []


def _hashes(keys: HashKeys, workspace: str, aimed: Aimed, meant: Iterable[ResolvedIdentity]) -> list[bytes]:
    scopes = {scope_of(aimed.channel, channel_id) for channel_id in aimed.channel_ids or [""]}
    return [
        address_hash(key, workspace, identity.channel, scope, identity.lookup)
        for identity in meant
        for scope in sorted(scopes)
        for key in keys.known
    ]
