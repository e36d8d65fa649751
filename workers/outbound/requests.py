"""messages.outbound: each request is refused, held or dispatched, once (contract 4.1-4.3)."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec import Raw

from schemas.outputs import ENCODER
from schemas.sends import SendRequest
from workers.outbound import cases, changes
from workers.outbound.cases import Subject
from workers.outbound.changes import Changes
from workers.outbound.parking import wake
from workers.outbound.targets import resolve
from workers.outbound.telling import Cause, origin_of
from workers.rules.event_time import trusted
from workers.rules.sends import judge
from workers.runtime.batch import Connection, Output, Record
from workers.store import sends, workspaces
from workers.store.sends import Send, SendKey
from workers.store.workspaces import Workspace


async def apply_requests(tx: Connection, records: Sequence[Record[SendRequest]], now: datetime) -> list[Output]:
    """Judge one poll of requests. Of several with one `send_id` the first stays, whenever the others come."""
    channels = {(r.value.workspace_id, r.value.channel_id, r.value.channel) for r in records}
    tenants = await workspaces.share(tx, channels)
    first: dict[SendKey, Record[SendRequest]] = {}
    for record in records:
        first.setdefault((record.value.workspace_id, record.value.send_id), record)
    known = await sends.known(tx, first.keys())
    new = {key: record for key, record in first.items() if key not in known}
    if not new:
        return []
    wishes = {key: _trusted(record) for key, record in new.items()}
    subjects = await resolve(tx, wishes, tenants)
    judged = await cases.load(tx, subjects)
    made = Changes(now)
    for key, record in new.items():
        policies = tenants[key[0]].policies
        send = _send(wishes[key], subjects[key], record, tenants, now)
        verdict = judge(judged[key], send.cover)
        made.decide(send, verdict, Cause("request", origin_of(record)), timedelta(hours=policies.hold_ttl_hours))
    outputs = await changes.add(tx, made)
    return outputs + await wake(tx, made)


def _trusted(record: Record[SendRequest]) -> SendRequest:
    """The request with clock readings that run ahead of Kafka's clock put right."""
    request = record.value
    confirmation = request.confirmation
    if confirmation is not None:
        at = trusted(confirmation.confirmed_at, record.timestamp)
        confirmation = msgspec.structs.replace(confirmation, confirmed_at=at)
    return msgspec.structs.replace(
        request, requested_at=trusted(request.requested_at, record.timestamp), confirmation=confirmation
    )


def _send(
    request: SendRequest,
    subject: Subject,
    record: Record[SendRequest],
    tenants: Mapping[str, Workspace],
    now: datetime,
) -> Send:
    confirmation = request.confirmation
    if (
        confirmation is not None
        and tenants[request.workspace_id].policies.two_person_confirm
        and confirmation.confirmed_by == request.requested_by.id
    ):
        confirmation = None
    return Send(
        workspace_id=request.workspace_id,
        send_id=request.send_id,
        group_id=request.group_id,
        contact_id=subject.contact_id,
        channel=request.channel,
        channel_id=request.channel_id,
        scope=subject.aim.scope,
        lookup=subject.aim.lookup,
        address=subject.aim.address,
        content=Raw(ENCODER.encode(request.content)),
        source=request.source,
        run_id=request.run_id,
        step_id=request.step_id,
        requested_by=request.requested_by.id,
        requested_role=request.requested_by.role,
        requested_at=request.requested_at,
        traceparent=_printable(record.traceparent),
        status="requested",
        confirmed_by=confirmation.confirmed_by if confirmation is not None else None,
        confirmed_at=confirmation.confirmed_at if confirmation is not None else None,
        confirmed_before=confirmation.confirmed_at if confirmation is not None else None,
        applied_at=now,
        updated_at=now,
    )


def _printable(traceparent: bytes | None) -> str | None:
    # Anybody may write a header: what could not be stored as text is not carried on by later facts.
    if traceparent is None or not traceparent.isascii():
        return None
    text = traceparent.decode("ascii")
    return text if text.isprintable() else None
