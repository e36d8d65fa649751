"""A block or an unblock that comes late revises messages that were judged without it (contract 3.2).

The contact is locked for update, so no message of it is being judged meanwhile. A history that covers very many
messages is worked off in steps: what is beyond the first step is left to upkeep.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from workers.inbound import rejudging
from workers.inbound.rejudging import Cause
from workers.rules.blocks import BlockChange, first_change
from workers.rules.cycles import BEGINNING
from workers.runtime.batch import Connection, Output, Record, Source
from workers.store import contacts, messages, workspaces
from workers.store.contacts import ContactKey

STEP: Final = 5_000  # messages judged again in one transaction


async def revise(
    tx: Connection,
    changes: Mapping[ContactKey, BlockChange],
    origins: Mapping[ContactKey, Record[Any]],
    now: datetime,
) -> tuple[Counter[ContactKey], list[Output]]:
    """Judge again what the changed histories cover; how many messages change their verdict per contact, and the facts.

    The histories must have been saved. The facts of what is left to upkeep follow with its steps.
    """
    since = {key: at for key, c in changes.items() if (at := first_change(c.before, c.after)) is not None}
    current = await contacts.lock_for_update(tx, changes)
    causes = {k: Cause(current[k], str(c.command_id), origins[k]) for k, c in changes.items()}
    flips, outputs, complete = await _step(tx, since, causes, now)
    if not complete:
        rest = await messages.count_flips(tx, since)
        flips += rest
        await messages.add_revisions_due(tx, {key: changes[key].command_id for key in since})
    return flips, outputs


async def go_on(tx: Connection, now: datetime, source: Source) -> list[Output]:
    """The next step of revisions that were too large for one transaction; [] when none is left."""
    outputs: list[Output] = []
    for key, command_id in await messages.revisions_due(tx, limit=1):
        # Before the contact, as everybody does: who changes settings holds the workspace and may wait for the contact.
        await workspaces.share(tx, {(key[0], "", "")})
        current = await contacts.lock_for_update(tx, [key])
        record: Record[None] = Record(source, 0, now, None, None)
        causes = {key: Cause(current[key], str(command_id), record)}
        _, outputs, complete = await _step(tx, {key: BEGINNING}, causes, now)
        if complete:
            await messages.revision_done(tx, key)
    return outputs


async def _step(
    tx: Connection, since: Mapping[ContactKey, datetime], causes: Mapping[ContactKey, Cause], now: datetime
) -> tuple[Counter[ContactKey], list[Output], bool]:
    tenants = await workspaces.share(tx, {(workspace_id, "", "") for workspace_id, _ in causes})
    stale = await messages.stale(tx, since, STEP)
    flips, outputs = await rejudging.save(tx, stale, causes, tenants, now)
    await rejudging.reopen(tx, {key: cause.contact for key, cause in causes.items()})
    return flips, outputs, len(stale) < STEP
