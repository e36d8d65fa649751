"""workflows.events: which steps an engine may take, and which runs are over. A handful of statements per poll."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import assert_never

from schemas.decoding import decode_workflow_event
from schemas.routing import key_begins
from schemas.workflow_events import RunFinished, RunStarted, StepRequested, WorkflowEvent
from workers.rules.event_time import trusted
from workers.rules.identities import identify
from workers.rules.workflow_families import Families, Telling
from workers.rules.workflows import Run
from workers.runtime.batch import Batch, Connection, Output, Record, WorkerSpec
from workers.store import contacts, workspaces
from workers.store.contacts import ContactKey, IdentityKey
from workers.store.workspaces import Workspace
from workers.workflows.loading import Histories, lock_contacts, lock_families
from workers.workflows.telling import save_and_tell


async def apply(tx: Connection, batch: Batch[WorkflowEvent]) -> list[Output]:
    """Apply one poll of events; returns the answers in the order of the events, then those of stopped runs' sends."""
    events = [record.value for record in batch.records]
    tenants = await workspaces.share(tx, {(event.workspace_id, "", "") for event in events})
    starts = [event for event in events if isinstance(event, RunStarted)]
    meant = await _contacts_meant(tx, starts, tenants)

    histories: Histories = {}
    await lock_contacts(tx, meant.values(), histories)
    wanted = {(event.workspace_id, event.run_id) for event in events}
    parents = {(start.workspace_id, start.parent_run_id) for start in starts if start.parent_run_id is not None}
    families = await lock_families(tx, wanted, parents, histories)

    known = {run: contact for run, contact in meant.items() if contact in histories}
    told = [(telling, record) for record in batch.records for telling in _decide(families, record, known)]
    return await save_and_tell(tx, families, told, batch.now)


SPEC = WorkerSpec("workflows", {"workflows.events": decode_workflow_event}, apply, key_begins=key_begins)


Meant = Mapping[RunStarted, ContactKey]
"""The contact each start names; a start whose identity nobody has is left out."""


async def _contacts_meant(tx: Connection, starts: Sequence[RunStarted], tenants: Mapping[str, Workspace]) -> Meant:
    by_identity = {
        start: key for start in starts if (key := _identity_key(start, tenants[start.workspace_id])) is not None
    }
    owners = await contacts.find(tx, set(by_identity.values())) if by_identity else {}
    meant = {start: (start.workspace_id, owners[key].contact_id) for start, key in by_identity.items() if key in owners}
    return meant | {start: (start.workspace_id, start.contact_id) for start in starts if start.contact_id is not None}


def _identity_key(start: RunStarted, tenant: Workspace) -> IdentityKey | None:
    given = start.identity
    if given is None:
        return None
    channel_id = given.channel_id or ""
    understood = identify(given.channel, channel_id, given.address, tenant.region(channel_id))
    return contacts.key_of(start.workspace_id, understood)


def _decide(families: Families, record: Record[WorkflowEvent], known: Meant) -> list[Telling]:
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
