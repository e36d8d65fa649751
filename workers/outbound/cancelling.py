"""Holds that end because of what happened elsewhere: the contact was blocked, the run was halted."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from workers.outbound import changes
from workers.outbound.changes import Changes
from workers.outbound.telling import Cause, origin_of
from workers.rules.blocks import BlockChange
from workers.rules.sends import cancelled_by
from workers.runtime.batch import Connection, Output, Record
from workers.store import sends
from workers.store.contacts import ContactKey


async def cancel_blocked(
    tx: Connection,
    block_changes: Mapping[ContactKey, BlockChange],
    origins: Mapping[ContactKey, Record[Any]],
    now: datetime,
) -> tuple[Counter[ContactKey], list[Output]]:
    """Cancel the holds that changes of block histories end for good; how many per contact.

    The caller holds the contacts' rows for update. A hold to an address of a blocked contact ends as well.
    """
    cancelled: Counter[ContactKey] = Counter()
    if not block_changes:
        return cancelled, []
    concerned = await sends.held_to(tx, block_changes.keys())
    held = await sends.lock(tx, {key for key, _ in concerned})
    made = Changes(now)
    for key, contact in concerned:
        send, change = held[key], block_changes[contact]
        if key in made.sends or send.status != "held":
            continue
        if cancelled_by(send.requested_at, change.before, change.after):
            actor = change.after[-1].blocked_by if change.after else None
            cause = Cause(str(change.command_id), origin_of(origins[contact]), actor or None)
            made.end(send, "cancelled", cause, "contact_blocked")
            cancelled[contact] += 1
    return cancelled, await changes.save(tx, made)


async def refuse_halted(tx: Connection, runs: Mapping[tuple[str, str], Record[Any]], now: datetime) -> list[Output]:
    """Refuse what halted runs, (workspace_id, run_id) -> origin, have not dispatched yet.

    What is on its way to a sender is turned away at the claim, what waits for another attempt when that is due.
    """
    if not runs:
        return []
    held = await sends.lock(tx, await sends.held_by_runs(tx, runs.keys()))
    made = Changes(now)
    for _, send in sorted(held.items()):
        if send.status == "held" and send.run_id is not None:
            origin = origin_of(runs[send.workspace_id, send.run_id])
            made.end(send, "refused", Cause("run_halted", origin), "run_halted")
    return await changes.save(tx, made)
