"""The worker of workflows.events: which steps an engine may take, and which runs have ended."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import assert_never
from uuid import uuid4

from schemas.decoding import decode_workflow_event
from schemas.routing import key_begins
from schemas.workflow_events import RunFinished, RunStarted, StepRequested, WorkflowEvent
from workers.errors import RetryBatch
from workers.process.tasks import paced
from workers.records import Batch, Output, Record
from workers.rules.contact import ContactKey
from workers.rules.event_time import trusted
from workers.rules.identities import identify
from workers.rules.workflow_families import Families, RunEvent
from workers.rules.workflows import ContactGone, Run, RunKey
from workers.runtime.worker_spec import WorkerSpec
from workers.store import contacts, deletions, pending_work, workflows, workspaces
from workers.store.connection import Connection
from workers.store.contacts import IdentityKey, Owned
from workers.store.workflows import After
from workers.store.workspaces import Workspace
from workers.workflows.context import People, RunRequest, lock_contacts, lock_families
from workers.workflows.ending_children import Spread
from workers.workflows.events import save_and_tell
from workers.workflows.halting import work_below


async def apply(tx: Connection, batch: Batch[WorkflowEvent]) -> list[Output]:
    """Applies one poll of events. Returns the answers in the order of the events, then those of stopped runs' sends.

    Raises:
        RetryBatch: another transaction started one of the runs, or moved or merged one of the contacts, meanwhile.
    """
    events = [record.value for record in batch.records]
    tenants = await workspaces.share(tx, {(event.workspace_id, "", "") for event in events})
    starts = [event for event in events if isinstance(event, RunStarted)]
    by_identity = await _owners(tx, batch.records, tenants)
    meant = await _contacts_meant(tx, starts, by_identity)

    people: People = {}
    await lock_contacts(tx, meant.values(), people)
    await contacts.require_same_owners(tx, dict(by_identity.values()))
    if any(contact.merged_into is not None for contact in people.values()):
        raise RetryBatch("a contact was merged while it was being locked")
    wanted = {(event.workspace_id, event.run_id) for event in events}
    parents = {(start.workspace_id, start.parent_run_id) for start in starts if start.parent_run_id is not None}
    known = {start: contact for start, contact in meant.items() if contact in people}
    asked = [_asked(record, known) for record in batch.records]
    families, caught_up = await lock_families(tx, wanted, parents, people, asked)

    about = {key: record for (key, *_), record in zip(reversed(asked), reversed(batch.records), strict=True)}
    run_events = [(run_event, about[run]) for run, run_event in caught_up]
    ended = await _of_deleted(tx, families, people)
    run_events += ((run_event, about.get(run_event.run, batch.records[0])) for run_event in ended)
    cause = {run: about.get(run, batch.records[0]) for run in families.due()}
    async for record in paced(batch.records):
        run_events += ((run_event, record) for run_event in _decide(families, record, known))
        for run in families.due():
            cause.setdefault(run, record)
    run_events += await _events_below(tx, families, people, cause)
    return await save_and_tell(tx, families, run_events, batch.now)


SPEC = WorkerSpec("workflows", {"workflows.events": decode_workflow_event}, apply, key_begins=key_begins)


async def _of_deleted(tx: Connection, families: Families, people: People) -> list[RunEvent]:
    """Halts runs of contacts that are deleted with many others and not cut off yet."""
    of_contact: dict[ContactKey, list[RunKey]] = {}
    for key, run in families.runs.items():
        if run.contact_id is not None and (contact := (run.workspace_id, run.contact_id)) not in people:
            of_contact.setdefault(contact, []).append(key)
    gone = await deletions.whole_among(tx, of_contact.keys())
    return [
        run_event
        for contact, at in gone.items()
        for run_event in families.cut(of_contact[contact], ContactGone(at, "contact_deleted"))
    ]


async def _events_below(
    tx: Connection, families: Families, people: People, cause: dict[RunKey, Record[WorkflowEvent]]
) -> list[tuple[RunEvent, Record[WorkflowEvent]]]:
    """What children hear of the changes above them. Leaves to steps what is too much for a transaction."""
    spread = Spread(tx, families, people, dict(cause))
    await spread.run([(run, "") for run in cause], pending_work.ROWS_AT_ONCE)
    left: dict[str, list[After]] = {}
    for run, after in spread.due:
        left.setdefault(run[0], []).append((run, after))
    for below in left.values():
        await pending_work.add(tx, [work_below(below, uuid4(), await workflows.count_children(tx, below))])
    return [(run_event, spread.cause[run_event.run]) for run_event in spread.run_events]


Meant = Mapping[RunStarted, ContactKey]
"""The contact that each start names. A start with an unknown identity is left out."""


async def _owners(
    tx: Connection, records: Sequence[Record[WorkflowEvent]], tenants: Mapping[str, Workspace]
) -> dict[RunStarted, tuple[tuple[IdentityKey, datetime], Owned]]:
    """Who had the address that a start names, at the time of the start."""
    named: dict[RunStarted, tuple[IdentityKey, datetime]] = {}
    async for record in paced(records):
        start = record.value
        if isinstance(start, RunStarted):
            key = _identity_key(start, tenants[start.workspace_id])
            if key is not None:
                named[start] = key, trusted(start.at, record.timestamp)
    owners = await contacts.find_at(tx, set(named.values())) if named else {}
    return {start: (moment, owners[moment]) for start, moment in named.items() if moment in owners}


async def _contacts_meant(
    tx: Connection,
    starts: Sequence[RunStarted],
    by_identity: Mapping[RunStarted, tuple[tuple[IdentityKey, datetime], Owned]],
) -> Meant:
    named = {start: (start.workspace_id, start.contact_id) for start in starts if start.contact_id is not None}
    present = await contacts.present(tx, set(named.values()))
    meant = {start: (start.workspace_id, owner.contact_id) for start, (_, owner) in by_identity.items()}
    return meant | {start: present[contact] for start, contact in named.items()}


def _identity_key(start: RunStarted, tenant: Workspace) -> IdentityKey | None:
    given = start.identity
    if given is None:
        return None
    region = tenant.region_of(given.channel, given.channel_id)
    identity = identify(given.channel, given.channel_id or "", given.address, region)
    return contacts.key_of(start.workspace_id, identity)


def _asked(record: Record[WorkflowEvent], known: Meant) -> RunRequest:
    event = record.value
    contact = known.get(event) if isinstance(event, RunStarted) else None
    return (event.workspace_id, event.run_id), trusted(event.at, record.timestamp), contact


def _decide(families: Families, record: Record[WorkflowEvent], known: Meant) -> list[RunEvent]:
    event = record.value
    key, at = (event.workspace_id, event.run_id), trusted(event.at, record.timestamp)
    match event:
        case RunStarted():
            return families.start(_run(event, at, known.get(event)))
        case StepRequested():
            return families.request(key, event.step_id, event.action, at)
        case RunFinished():
            return families.finish(key, at, event.outcome)
        case _:
            assert_never(event)


def _run(event: RunStarted, at: datetime, contact: ContactKey | None) -> Run:
    return Run(
        workspace_id=event.workspace_id,
        run_id=event.run_id,
        workflow_id=event.workflow_id,
        contact_id=contact[1] if contact is not None else None,
        trigger=event.trigger,
        started_at=at,
        parent_run_id=event.parent_run_id,
    )
