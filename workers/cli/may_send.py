"""`sluice may-send`: whether a send would be dispatched now, by the same rules as requests and claims."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from workers.app.database_failures import reading
from workers.app.settings import Settings
from workers.cli.pages import Page
from workers.errors import NotFound, SettingsError
from workers.rules import wording
from workers.rules.aiming import Aimed, aim, hashes_of, kept_address, understood
from workers.rules.identities import ResolvedIdentity
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
            hashes = hashes_of(keys, workspace, aimed, kept)
            row = await send_reports.may_send_to_contact(tx, workspace, contact_id, channel, hashes)
        else:
            meant = _meant(address or "", aimed)
            hashes = hashes_of(keys, workspace, aimed, [meant])
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
    policies = await send_reports.region(tx, workspace)
    if policies is None:
        raise NotFound(f"there is no workspace {workspace!r}")
    aimed = aim(named, policies["default_region"], await send_reports.channels_named(tx, workspace, named))
    if aimed is None:
        raise NotFound(f"workspace {workspace!r} has no channel {named!r}, and it is no kind of channel")
    return aimed


def _meant(address: str, aimed: Aimed) -> ResolvedIdentity:
    meant = understood(address, aimed)
    if meant is None:
        raise SettingsError(_REGIONLESS)
    return meant


async def _kept(tx: Connection, workspace: str, contact_id: UUID, aimed: Aimed) -> list[ResolvedIdentity]:
    present = await reports.present(tx, workspace, contact_id)
    channels = await reports.channels_of_contact(tx, workspace, present)
    address = kept_address(aimed, channels, await reports.contact(tx, workspace, present))
    return [] if address is None else [_meant(address, aimed)]
