"""release_dropped: a person takes messages out of the drop ledger after a mistaken block."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from workers.inbound import rejudging
from workers.inbound.rejudging import Cause
from workers.rules.contact import Contact
from workers.runtime.batch import Connection, Output, Record
from workers.store import messages, workspaces
from workers.store.contacts import ContactKey


@dataclass(frozen=True, slots=True)
class Release:
    """Which dropped messages of a contact: by id, or by event time in [from_, to)."""

    command_id: UUID
    contact: Contact
    origin: Record[Any]
    message_ids: Sequence[UUID] = ()
    from_: datetime | None = None
    to: datetime | None = None


async def release(tx: Connection, releases: Sequence[Release], now: datetime) -> tuple[dict[UUID, int], list[Output]]:
    """Accept dropped messages whose content is still kept: how many per command, and the facts.

    The contacts must be locked for update and not be blocked now. A message is released once, by the first that asks.
    """
    spans = [
        (n, r.contact.workspace_id, r.contact.contact_id, r.from_, r.to)
        for n, r in enumerate(releases)
        if r.from_ is not None and r.to is not None
    ]
    picked = [
        (n, r.contact.workspace_id, r.contact.contact_id, m) for n, r in enumerate(releases) for m in r.message_ids
    ]
    counts = Counter({r.command_id: 0 for r in releases})
    by_command: dict[UUID, list[messages.Stored]] = {}
    seen: set[messages.MessageKey] = set()
    for number, message in await messages.releasable(tx, spans, picked):
        key = message.workspace_id, message.message_id
        if key not in seen:
            seen.add(key)
            counts[releases[number].command_id] += 1
            by_command.setdefault(releases[number].command_id, []).append(rejudging.released(message))
    tenants = await workspaces.share(tx, {(r.contact.workspace_id, "", "") for r in releases})
    outputs: list[Output] = []
    for r in releases:
        cause = Cause(r.contact, str(r.command_id), r.origin)
        causes: Mapping[ContactKey, Cause] = {(r.contact.workspace_id, r.contact.contact_id): cause}
        _, facts = await rejudging.save(tx, by_command.get(r.command_id, ()), causes, tenants, now)
        outputs += facts
    await rejudging.reopen(tx, {(r.contact.workspace_id, r.contact.contact_id): r.contact for r in releases})
    return dict(counts), outputs
