"""`sluice sends request`: asks for one send through `messages.outbound`, and waits until Sluice has judged it."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from schemas.building import OUTBOUND, Record, send_record
from schemas.inbound import Content
from schemas.sends import Confirmation, Recipient, Requester, SendRequest
from workers.app.database_failures import watching
from workers.app.settings import Settings
from workers.cli import sends
from workers.cli.twins.running import in_options
from workers.errors import SettingsError, Unreachable
from workers.kafka.command_topic import command_topic
from workers.store import send_reports
from workers.store.connection import Connection, transaction_time

_LOOK_S: Final = 0.05
_WORDS: Final = {
    "workspace_id": "--workspace",
    "channel_id": "--channel",
    "channel": "--kind",
    "to.address": "--address",
    "content.text": "--text",
    "content.subject": "--subject",
    "requested_by.id": "--actor",
    "requested_by.role": "--role",
    "group_id": "--group",
}


class Wanted(NamedTuple):
    """A send as the command line asks for it. `kind` of the channel: None if it is known. `to` is a contact's id or an
    address. `confirmed`: who requests it knows what protects the contact. Times to wait are in seconds.
    """

    send_id: UUID
    workspace_id: str
    channel_id: str
    kind: str | None
    to: Recipient
    content: Content
    requested_by: Requester
    group_id: str | None
    confirmed: bool
    timeout_s: float


async def requested(settings: Settings, wanted: Wanted) -> dict[str, Any]:
    """The send, with its first status or a later one, as `sluice sends show` tells it.

    Raises:
        SettingsError: a field does not fit, or the channel has no record yet and its kind is not given.
        Unreachable: a server does not answer, or no status came within the time.
        SetupError: Kafka or PostgreSQL refuses.
    """
    async with watching(settings) as connection, command_topic(settings.kafka(), OUTBOUND) as topic:
        kind = await _kind(connection, wanted)
        record = _record(wanted, kind, await transaction_time(connection))
        await topic.produce([(record.key, record.value)])
        return await _judged(connection, wanted)


async def _kind(connection: Connection, wanted: Wanted) -> str:
    # Asked in any case: a login that may not read is refused before anything is produced.
    named = await send_reports.channels_named(connection, wanted.workspace_id, wanted.channel_id)
    known = [str(channel["channel"]) for channel in named if channel["channel_id"] == wanted.channel_id]
    if kind := wanted.kind or (known[0] if known else None):
        return kind
    raise SettingsError(
        f"--channel: workspace {wanted.workspace_id!r} has no record of a channel {wanted.channel_id!r} yet: "
        "give its --kind as well, such as whatsapp"
    )


def _record(wanted: Wanted, kind: str, now: datetime) -> Record:
    request = SendRequest(
        send_id=wanted.send_id,
        workspace_id=wanted.workspace_id,
        channel_id=wanted.channel_id,
        channel=kind,  # type: ignore[arg-type] # it is decoded before it is produced
        to=wanted.to,
        content=wanted.content,
        requested_at=now,
        requested_by=wanted.requested_by,
        source="api",
        group_id=wanted.group_id,
        confirmation=Confirmation(confirmed_by=wanted.requested_by.id, confirmed_at=now) if wanted.confirmed else None,
    )
    try:
        return send_record(request)
    except ValueError as error:
        raise SettingsError(in_options(str(error), _WORDS)) from None


async def _judged(connection: Connection, wanted: Wanted) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    until = loop.time() + wanted.timeout_s
    while (send := await sends.told(connection, wanted.workspace_id, wanted.send_id)) is None:
        if loop.time() > until:
            raise Unreachable(
                f"no status of send {wanted.send_id} within {wanted.timeout_s:g} s; is `sluice worker outbound` at "
                "work? It may still come. Give the same again with the same --send-id to see it"
            )
        await asyncio.sleep(_LOOK_S)
    return send


def never_goes(send: Mapping[str, Any]) -> bool:
    """Whether the send was refused, or ended without going out."""
    return send["status"] in ("refused", "rejected", "expired", "cancelled", "failed")
