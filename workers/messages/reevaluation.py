"""Judges stored messages again: the only place where a stored verdict changes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from workers.messages import recounting
from workers.messages.events import RevisionReason, revision_event, said_of_sender
from workers.process.tasks import paced
from workers.records import Output, Record
from workers.rules.closing import LateCause
from workers.rules.contact import Contact, ContactKey
from workers.rules.conversations import opened_last
from workers.rules.cycles import FIRST_INSTANT
from workers.rules.inbound import Dropped, Facts, MessageVerdict, judge
from workers.rules.mac import Evidence
from workers.store import blocks, contacts, mac, messages, workspaces
from workers.store.connection import Connection
from workers.store.contacts import Said
from workers.store.mac import Active, Change, LateFact
from workers.store.messages import Revised, Stored
from workers.store.workspaces import Workspace


@dataclass(frozen=True, slots=True)
class ReevaluationCause:
    """Why messages are judged again: the command, its record, and the present contact. `home`: whose blocks judge them,
    if they came with a merge.
    """

    contact: Contact
    command_id: str
    record: Record[Any]
    home: Contact | None = None

    @property
    def judge(self) -> Contact:
        return self.home or self.contact


async def judge_again(
    tx: Connection, stored: Sequence[Stored], causes: Mapping[ContactKey, ReevaluationCause], now: datetime
) -> tuple[Counter[ContactKey], list[Output]]:
    """Saves the new verdicts of `stored` messages, and what follows from them.

    `causes` are by the contacts whose blocks judge the messages; all contacts must be locked for update. Returns the
    number of changed verdicts by the same, and the events.
    """
    tenants = await workspaces.share(tx, {(workspace_id, "", "") for workspace_id, _ in causes})
    flips: Counter[ContactKey] = Counter()
    outputs: list[Output] = []
    revised: list[Revised] = []
    recounted: dict[Active, Change] = {}
    late: list[LateFact] = []
    said: set[Said] = set()
    moments = (((message.workspace_id, message.home_id), message.event_time) for message in stored)
    people = await blocks.reaching(tx, {key: cause.judge for key, cause in causes.items()}, moments)
    async for message in paced(stored):
        key = message.workspace_id, message.home_id
        cause, tenant = causes[key], tenants[message.workspace_id]
        verdict = judge(events_of(message), people[key].intervals, tenant.calendar)
        change = _revised(message, verdict, tenant, now)
        revised.append(change)
        if change.revision != message.revision:
            flips[key] += 1
            said.update((*cause.contact.key, attribute) for attribute in said_of_sender(message))
            reason = _reason(verdict, message)
            outputs.append(
                revision_event(message, cause.contact, reason, change.revision, cause.record, cause.command_id, now)
            )
        if verdict.counted != message.counted:
            active, came = _counting_change(message, verdict, cause)
            at = max(filter(None, (message.recorded_at, message.release_recorded_at, cause.record.recorded_at)))
            if tenant.calendar.is_late(active.cycle, at):
                late.append(LateFact(*active, came.cause, came.fact_id))
            else:
                _note(recounted, active, came)
    await messages.revise(tx, revised, now)
    renamed = await contacts.rename(tx, await messages.latest_of_sender(tx, dict.fromkeys(said, FIRST_INSTANT)))
    await contacts.mark_unpublished(tx, renamed)
    owners = {cause.contact.key: cause for cause in causes.values()}
    await mac.leave_late(tx, late)
    for active in await mac.prove_again(tx, recounted):
        key = active.workspace_id, active.contact_id
        await recounting.leave(tx, key, active.cycle.start, UUID(owners[key].command_id))
    await _reopen(tx, owners)
    return flips, outputs


async def _reopen(tx: Connection, causes: Mapping[ContactKey, ReevaluationCause]) -> None:
    """Find what opened each conversation again, now that verdicts or closings changed."""
    current = {key: cause.contact for key, cause in causes.items()}
    witnesses, undecided = await messages.opening_messages(tx, {key: c.last_closing for key, c in current.items()})
    for key in undecided:
        since = current[key].last_closing or FIRST_INSTANT
        await recounting.leave(tx, key, since, UUID(causes[key].command_id))
    opened = {key: opened_last(c.opened_at, c.intervals, witnesses.get(key)) for key, c in current.items()}
    moved = {key: at for key, at in opened.items() if at != current[key].opened_at}
    await contacts.open_conversations(tx, moved)
    await contacts.mark_unpublished(tx, moved)


def events_of(message: Stored) -> Facts:
    return Facts(
        message.kind,
        message.channel_id,
        message.event_time,
        released=message.released,
        erased=message.dropped and message.body is None,
    )


def released(message: Stored, recorded_at: datetime) -> Stored:
    """The message after a user released it, by a command with that watermark."""
    return replace(message, released=True, release_recorded_at=message.release_recorded_at or recorded_at)


def _counting_change(message: Stored, verdict: MessageVerdict, cause: ReevaluationCause) -> tuple[Active, Change]:
    """What a message that begins or ceases to count changes."""
    source = cause.record.source
    why: LateCause = "late_block" if not verdict.counted else "released" if message.released else "late_unblock"
    change = Change(f"{source.topic}/{source.partition}", None, set(), why, cause.command_id)
    if verdict.counted:
        change = change._replace(began=Evidence(message.event_time, message.message_id))
    else:
        change.ceased.add(message.message_id)
    return Active(message.workspace_id, verdict.cycle, message.contact_id), change


def _note(recounted: dict[Active, Change], active: Active, more: Change) -> None:
    known = recounted.setdefault(active, more)
    if known is not more:
        began = [evidence for evidence in (known.began, more.began) if evidence is not None]
        recounted[active] = known._replace(began=min(began, default=None), ceased=known.ceased | more.ceased)


def _reason(verdict: MessageVerdict, message: Stored) -> RevisionReason:
    if isinstance(verdict, Dropped):
        return "late_block"
    return "released" if message.released else "late_unblock"


def _revised(message: Stored, verdict: MessageVerdict, tenant: Workspace, now: datetime) -> Revised:
    dropped = verdict if isinstance(verdict, Dropped) else None
    flipped = message.dropped != (dropped is not None)
    erase_at = now + timedelta(days=tenant.policies.quarantine_days) if dropped else None
    return Revised(
        generation=message.generation,
        workspace_id=message.workspace_id,
        message_id=message.message_id,
        drop_reason=dropped.reason if dropped else None,
        mac_rule=dropped.rule if dropped else None,
        block_start=verdict.block_start,
        counted=verdict.counted,
        released=message.released,
        revision=message.revision + 1 if flipped else message.revision,
        erase_at=erase_at,
        release_recorded_at=message.release_recorded_at,
    )
