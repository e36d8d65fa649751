"""The topic messages.outbound: refuses, holds or dispatches each request, once (contract 4.1-4.3)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Raw

from schemas.outputs import ENCODER
from schemas.sends import InvalidSend, SendRequest
from workers.process.tasks import paced
from workers.records import Output, Record
from workers.rules.channels import Aim, Known, Nowhere, SendTarget, aim_at_address, aim_at_contact
from workers.rules.contact import ContactKey
from workers.rules.event_time import trusted
from workers.rules.identities import REACHABLE_UNASKED, ResolvedIdentity, identify
from workers.rules.protection import codes, covered
from workers.rules.sends import Case, judge
from workers.sends import context, transitions
from workers.sends.context import SendSubject
from workers.sends.early_receipts import wake
from workers.sends.events import SendCause, origin_of_record, printable
from workers.sends.provider_ids import unnamed_ids
from workers.sends.transitions import SendTransitions
from workers.store import address_hashes, confirmations, contacts, deletions, senders, sends, workspaces
from workers.store.confirmations import ConfirmationRow, Outcome
from workers.store.connection import Connection
from workers.store.contacts import IdentityKey, key_of
from workers.store.sends import AddressOwner, OnFile, Send, SendKey, as_bytea
from workers.store.workspaces import Workspace

Request = Record[SendRequest | InvalidSend]

REQUEST: Final = "request"
"""Names the request where it causes a change, or brings an answer."""

_UNREADABLE: Final = ""
"""Stands in the row of an invalid request for a field that could not be read."""


async def apply_requests(tx: Connection, records: Sequence[Request], now: datetime) -> list[Output]:
    """Judges one poll of requests. Of several with one `send_id` the first one stays, whenever the others arrive."""
    tenants = await workspaces.share_for(tx, records, _channel)
    first: dict[SendKey, Request] = {}
    for record in records:
        first.setdefault((record.value.workspace_id, record.value.send_id), record)
    known = await sends.known(tx, first.keys())
    new = {key: record for key, record in first.items() if key not in known}
    if not new:
        return []
    wishes = {
        k: _trusted(r.value, r.timestamp) async for k, r in paced(new.items()) if isinstance(r.value, SendRequest)
    }
    subjects = await subjects_of(tx, wishes, tenants)
    judged = await context.load(tx, subjects)
    ids = dict(zip(wishes, unnamed_ids((k[0], w.channel_id, k[1]) for k, w in wishes.items()), strict=True))
    made = SendTransitions(now)
    async for key, record in paced(new.items()):
        cause = SendCause(REQUEST, origin_of_record(record))
        if isinstance(record.value, InvalidSend):
            detailed = replace(cause, detail=record.value.error)
            made.end(_invalid(record.value, record, now), "refused", "request", detailed, "invalid")
            continue
        send, case = _send(wishes[key], ids[key], subjects[key], record, tenants, now), judged[key]
        decided = made.decide(send, judge(case, send.cover), "request", cause, tenants[key[0]].policies)
        if (evidence := _evidence(send, case, decided.status)) is not None:
            made.confirmations.append(evidence)
    outputs = await transitions.add(tx, made)
    return outputs + await wake(tx, made)


def _channel(request: SendRequest | InvalidSend) -> tuple[str, str, str]:
    if isinstance(request, InvalidSend):
        return request.workspace_id, "", ""
    return request.workspace_id, request.channel_id, request.channel


def _trusted(request: SendRequest, kafka: datetime) -> SendRequest:
    """The request with times clamped that are ahead of `kafka`, the record's timestamp."""
    confirmation = request.confirmation
    if confirmation is not None:
        at = trusted(confirmation.confirmed_at, kafka)
        confirmation = msgspec.structs.replace(confirmation, confirmed_at=at)
    return msgspec.structs.replace(
        request, requested_at=trusted(request.requested_at, kafka), confirmation=confirmation
    )


def _send(
    request: SendRequest,
    message_id: UUID,
    subject: SendSubject,
    record: Request,
    tenants: Mapping[str, Workspace],
    now: datetime,
) -> Send:
    target = subject.aim if isinstance(subject.aim, SendTarget) else None
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
        scope=target.scope if target is not None else None,
        lookup=target.lookup if target is not None else None,
        address=target.address if target is not None else None,
        understood=target is not None and target.understood,
        address_hashes=_hashes(subject),
        content=Raw(ENCODER.encode(request.content)),
        source=request.source,
        run_id=request.run_id,
        step_id=request.step_id,
        requested_by=request.requested_by.id,
        requested_role=request.requested_by.role,
        requested_at=request.requested_at,
        traceparent=printable(record.traceparent),
        status="requested",
        confirmed_by=confirmation.confirmed_by if confirmation is not None else None,
        confirmed_at=confirmation.confirmed_at if confirmation is not None else None,
        confirmed_before=confirmation.confirmed_at if confirmation is not None else None,
        message_id=message_id,
        applied_at=now,
        updated_at=now,
    )


def _evidence(send: Send, case: Case, status: str) -> ConfirmationRow | None:
    """The answer that came with the request; None: none came, or it does not count."""
    if send.confirmed_by is None or send.confirmed_at is None:
        return None
    outcomes: Mapping[str, Outcome] = {"refused": "refused", "held": "held"}
    return ConfirmationRow(
        workspace_id=send.workspace_id,
        send_id=send.send_id,
        given_by=REQUEST,
        confirmed_by=send.confirmed_by,
        role=send.requested_role if send.confirmed_by == send.requested_by else None,
        confirmed_at=send.confirmed_at,
        content_sha256=confirmations.digest(send),
        reasons=codes(covered((g for p in case.people for g in p.grounds), send.cover)),
        outcome=outcomes.get(status, "released"),
    )


def _hashes(subject: SendSubject) -> tuple[str, ...]:
    key = subject.identity_key
    return tuple(map(as_bytea, address_hashes.hashes_of(key))) if key is not None else ()


def _invalid(request: InvalidSend, record: Request, now: datetime) -> Send:
    """The row of an invalid request: it reserves the id and keeps no content."""
    return Send(
        workspace_id=request.workspace_id,
        send_id=request.send_id,
        group_id=request.group_id,
        contact_id=None,
        channel=request.channel or _UNREADABLE,
        channel_id=_UNREADABLE,
        scope=None,
        lookup=None,
        address=None,
        understood=False,
        content=Raw(b"{}"),
        source=_UNREADABLE,
        run_id=None,
        step_id=None,
        requested_by=_UNREADABLE,
        requested_role=_UNREADABLE,
        requested_at=record.timestamp,
        traceparent=printable(record.traceparent),
        status="requested",
        applied_at=now,
        updated_at=now,
    )


async def subjects_of(
    tx: Connection, requests: Mapping[SendKey, SendRequest], tenants: Mapping[str, Workspace]
) -> dict[SendKey, SendSubject]:
    """The subject of each request: finds the address to send to, from a contact or from what was typed (contract 4.5).
    Inserts a contact for an unknown number or e-mail address.
    """
    to_contact = {k: (r, r.to.contact_id) for k, r in requests.items() if r.to.contact_id is not None}
    to_address = {k: (r, r.to.address) for k, r in requests.items() if r.to.address is not None}
    return {
        **await _by_contact(tx, to_contact, tenants),
        **await _by_address(tx, to_address, tenants),
    }


async def _by_contact(
    tx: Connection, requests: Mapping[SendKey, tuple[SendRequest, UUID]], tenants: Mapping[str, Workspace]
) -> dict[SendKey, SendSubject]:
    wanted: set[ContactKey] = {(r.workspace_id, contact_id) for r, contact_id in requests.values()}
    if not wanted:
        return {}
    present = await contacts.present(tx, wanted)
    asked = set(present.values())
    on_file = await sends.on_file(tx, asked)
    known = on_file.keys() | await deletions.among(tx, asked - on_file.keys())
    identities = await sends.identities_of(tx, asked)
    subjects = {}
    async for key, (request, contact_id) in paced(requests.items()):
        contact = present[request.workspace_id, contact_id]
        aim = _aim(request, on_file.get(contact), identities.get(contact, ()), tenants[request.workspace_id])
        subjects[key] = context.subject(request, contact[1] if contact in known else None, aim)
    return subjects


def _aim(request: SendRequest, on_file: OnFile | None, known: Collection[Known], tenant: Workspace) -> Aim:
    if on_file is None:
        return Nowhere("unknown_contact")
    written = on_file.email if request.channel == "email" else on_file.phone
    return aim_at_contact(request.channel, request.channel_id, known, written, tenant.region(request.channel_id))


async def _by_address(
    tx: Connection, requests: Mapping[SendKey, tuple[SendRequest, str]], tenants: Mapping[str, Workspace]
) -> dict[SendKey, SendSubject]:
    meant = {
        key: identify(r.channel, r.channel_id, address, tenants[r.workspace_id].region(r.channel_id))
        async for key, (r, address) in paced(requests.items())
    }
    keys = {key: key_of(key[0], identity) for key, identity in meant.items()}
    owners = await sends.owners(tx, set(keys.values()))
    owners |= await _make(tx, {k: meant[key] for key, k in keys.items() if k not in owners})
    subjects = {}
    async for key, (request, _) in paced(requests.items()):
        owner = owners.get(keys[key])
        heard = owner.address if owner is not None and owner.connected_at is not None else None
        contact_id = owner.contact_id if owner is not None else None
        aim = aim_at_address(meant[key], heard)
        subjects[key] = context.subject(request, contact_id, aim, is_owners=owner is not None)
    return subjects


async def _make(tx: Connection, unknown: Mapping[IdentityKey, ResolvedIdentity]) -> dict[IdentityKey, AddressOwner]:
    writable = {k: (i, None) for k, i in unknown.items() if i.understood and i.channel in REACHABLE_UNASKED}
    return await sends.owners(tx, (await senders.find_or_add(tx, writable))[0].keys()) if writable else {}
