"""Revises messages after a late block or unblock (contract 3.2).

The contact is locked for update, so no other transaction judges its messages meanwhile. If a history covers very many
messages, upkeep does the rest after the first step.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from workers.messages.reevaluation import ReevaluationCause, judge_again
from workers.records import Output, Record
from workers.rules.blocks import BlockChange, first_change, last_change
from workers.rules.contact import Contact, ContactKey
from workers.rules.cycles import FIRST_INSTANT
from workers.store import contacts, messages, pending_work, workspaces
from workers.store.connection import Connection
from workers.store.messages import Span, Stored
from workers.store.pending_work import Stepped, Work

REVISE: Final = "revise messages"
_TO: Final = "to"
_RECORDED_AT: Final = "recorded_at"


async def revise(
    tx: Connection,
    changes: Mapping[ContactKey, BlockChange],
    origins: Mapping[ContactKey, Record[Any]],
    now: datetime,
) -> tuple[Counter[ContactKey], list[Output]]:
    """Judges again what the changed histories cover. Returns the number of changed verdicts per contact, and the
    events.

    The contacts, and those that they were merged into, must be locked for update, and the histories saved. The events
    of what is left to upkeep follow with its steps.
    """
    spans = {
        key: (since, last_change(c.before, c.after))
        for key, c in changes.items()
        if (since := first_change(c.before, c.after)) is not None
    }
    # What an earlier change left to steps is its own: count only what this one changes.
    behind = await pending_work.subjects(tx, REVISE, [(w, str(contact_id)) for w, contact_id in spans])
    overlaid = {key: span for key, span in spans.items() if (key[0], str(key[1])) in behind}
    counted = await messages.count_changed(tx, overlaid, changes) if overlaid else {}
    current = await contacts.read(tx, changes)
    owners = await _owners(tx, current)
    causes = {k: ReevaluationCause(owners[k], str(c.command_id), origins[k], current[k]) for k, c in changes.items()}
    stale, complete = await messages.stale(tx, spans, pending_work.ROWS_AT_ONCE)
    flips, outputs = await judge_again(tx, stale, causes, now)
    if not complete:
        reached = _key(stale[-1])
        left = {key: (stale[-1].event_time, span[1]) if key == reached else span for key, span in spans.items()}
        left = {key: span for key, span in left.items() if key >= reached}
        rest = await messages.count_flips(tx, left)
        await pending_work.add(
            tx,
            [_work(changes[k], origins[k], span, flips[k] * (k == reached), rest[k]) for k, span in left.items()],
        )
        flips += rest
    return +Counter({**flips, **counted}), outputs


async def run_step(tx: Connection, work: Work, now: datetime) -> Stepped:
    """The next step of a revision that was too large for one transaction."""
    key = work.workspace_id, UUID(work.subject)
    # Before the contact, in lock order: a change of settings holds the workspace and may wait for the contact.
    await workspaces.share(tx, {(work.workspace_id, "", "")})
    owners = await contacts.lock_present(tx, [key])
    if key not in owners:
        return Stepped((), 0, more=False)
    current = await contacts.read(tx, [key])
    since = datetime.fromisoformat(work.cursor) if work.cursor else FIRST_INSTANT
    until = datetime.fromisoformat(work.details[_TO]) if work.details.get(_TO) else None
    origin = pending_work.origin(now, work.details.get(_RECORDED_AT))
    causes = {key: ReevaluationCause(owners[key], str(work.command_id), origin, current[key])}
    stale, complete = await messages.stale(tx, {key: (since, until)}, pending_work.STEP)
    flips, outputs = await judge_again(tx, stale, causes, now)
    cursor = stale[-1].event_time.isoformat() if stale else work.cursor
    return Stepped(outputs, flips[key], more=not complete, cursor=cursor)


async def _owners(tx: Connection, judges: Mapping[ContactKey, Contact]) -> dict[ContactKey, Contact]:
    """Who has the messages that the blocks of these contacts judge."""
    merged = {key: (c.workspace_id, c.merged_into) for key, c in judges.items() if c.merged_into is not None}
    survivors = await contacts.read(tx, merged.values()) if merged else {}
    return {**judges, **{key: survivors[survivor] for key, survivor in merged.items()}}


def _work(change: BlockChange, origin: Record[Any], span: Span, done: int, left: int) -> Work:
    since, until = span
    return Work(
        workspace_id=change.workspace_id,
        kind=REVISE,
        subject=str(change.contact_id),
        command_id=change.command_id,
        details={
            _TO: until.isoformat() if until is not None else None,
            _RECORDED_AT: origin.recorded_at.isoformat(),
        },
        cursor=since.isoformat(),
        done=done,
        total=done + left,
    )


def _key(message: Stored) -> ContactKey:
    return message.workspace_id, message.home_id
