"""Judging stored messages again: the one place where a stored verdict changes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from workers.inbound.facts import Reason, revision_fact
from workers.rules.contact import Contact
from workers.rules.conversations import opened_last
from workers.rules.inbound import Dropped, Facts, Verdict, judge
from workers.runtime.batch import Connection, Output, Record
from workers.store import contacts, mac, messages
from workers.store.contacts import ContactKey
from workers.store.mac import Active
from workers.store.messages import Revised, Stored
from workers.store.workspaces import Workspace


@dataclass(frozen=True, slots=True)
class Cause:
    """Why messages are judged again: the command, the record it came with, and the contact as it is now."""

    contact: Contact
    command_id: str
    record: Record[Any]


async def save(
    tx: Connection,
    stored: Sequence[Stored],
    causes: Mapping[ContactKey, Cause],
    tenants: Mapping[str, Workspace],
    now: datetime,
) -> tuple[Counter[ContactKey], list[Output]]:
    """Save the verdicts that `stored` messages have now; how many flipped per contact, and the facts of those."""
    flips: Counter[ContactKey] = Counter()
    outputs: list[Output] = []
    revised: list[Revised] = []
    recounted: dict[Active, str] = {}
    for message in stored:
        key = message.workspace_id, message.contact_id
        cause, tenant = causes[key], tenants[message.workspace_id]
        verdict = judge(facts_of(message), cause.contact.intervals, tenant.calendar)
        change = _revised(message, verdict, tenant, now)
        revised.append(change)
        if change.revision != message.revision:
            flips[key] += 1
            reason = _reason(verdict, message)
            outputs.append(
                revision_fact(message, cause.contact, reason, change.revision, cause.record, cause.command_id, now)
            )
        if verdict.counted != message.counted:
            source = cause.record.source
            shard = f"{source.topic}/{source.partition}"
            recounted[Active(message.workspace_id, verdict.cycle, message.contact_id)] = shard
    await messages.revise(tx, revised, now)
    await mac.prove_again(tx, recounted)
    return flips, outputs


async def reopen(tx: Connection, changed: Mapping[ContactKey, Contact]) -> None:
    """Find what opened each conversation again, now that verdicts or closings changed."""
    witnesses = await messages.opening_messages(tx, {key: c.last_closing for key, c in changed.items()})
    opened = {key: opened_last(c.opened_at, c.intervals, witnesses.get(key)) for key, c in changed.items()}
    await contacts.open_conversations(tx, {key: at for key, at in opened.items() if at != changed[key].opened_at})


def facts_of(message: Stored) -> Facts:
    return Facts(
        message.kind,
        message.channel_id,
        message.event_time,
        released=message.released,
        erased=message.dropped and message.body is None,
    )


def released(message: Stored) -> Stored:
    """The message once a person has taken it out of the drop ledger."""
    return replace(message, released=True)


def _reason(verdict: Verdict, message: Stored) -> Reason:
    if isinstance(verdict, Dropped):
        return "late_block"
    return "released" if message.released else "late_unblock"


def _revised(message: Stored, verdict: Verdict, tenant: Workspace, now: datetime) -> Revised:
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
    )
