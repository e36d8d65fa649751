"""Verdicts as they are published."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec
from msgspec import Struct

from schemas.ids import fact_id, fact_ids, texts_of
from schemas.limits import MAX_KEY_BYTES
from schemas.outputs import (
    ENCODER,
    MessageDropped,
    MessageRevised,
    accepted_value,
    revised_to_accepted_value,
)
from workers.inbound.decide import Judged
from workers.rules.contact import Contact
from workers.rules.inbound import Dropped, Verdict
from workers.runtime.batch import Fact, Output, Record
from workers.store.messages import Stored

Reason = Literal["late_block", "late_unblock", "released"]


def verdict_ids(judged: Sequence[Judged]) -> list[UUID]:
    """The `ce_id` of each verdict's fact."""
    texts = texts_of([j.arrival.message_id for j in judged])
    return fact_ids(
        (_topic(j.verdict), j.arrival.record.value.workspace_id, text) for j, text in zip(judged, texts, strict=True)
    )


def _topic(verdict: Verdict) -> str:
    return "messages.dropped" if isinstance(verdict, Dropped) else "messages.accepted"


def verdict_fact(judged: Judged, ce_id: UUID, now: datetime) -> Output:
    """`messages.accepted` or `messages.dropped`, under the key the message came with."""
    arrival, contact = judged.arrival, judged.sender.contact
    record = arrival.record
    message = record.value
    if isinstance(judged.verdict, Dropped):
        value = ENCODER.encode(
            MessageDropped(
                workspace_id=message.workspace_id,
                message_id=arrival.message_id,
                contact_id=contact.contact_id,
                channel=message.channel,
                channel_id=message.channel_id,
                reason=judged.verdict.reason,
                event_time=arrival.event_time,
                decided_at=now,
            )
        )
    else:
        value = accepted_value(
            judged.body,
            message_id=arrival.message_id,
            direction=arrival.direction,
            contact_id=contact.contact_id,
            conversation_id=contact.conversation_id,
            profile_id=contact.profile_id,
            event_time=arrival.event_time,
            revision=1,
        )
    key = record.key
    if not key or len(key) > MAX_KEY_BYTES:
        key = f"{message.workspace_id}:{message.channel}:{message.sender.address}".encode()
    topic = _topic(judged.verdict)
    return Output(record.source, Fact(topic, key, value, ce_id, message.workspace_id, now, record.traceparent))


def revision_fact(
    message: Stored,
    contact: Contact,
    reason: Reason,
    revision: int,
    cause: Record[object],
    cause_id: str,
    now: datetime,
) -> Output:
    """`messages.revised`: a new fact about a message whose verdict changed; nothing published is edited."""
    topic = "messages.revised"
    if reason == "late_block":
        value = ENCODER.encode(
            MessageRevised(
                workspace_id=message.workspace_id,
                message_id=message.message_id,
                contact_id=message.contact_id,
                from_="accepted",
                to="dropped",
                reason=reason,
                revised_at=now,
                revision=revision,
            )
        )
    else:
        if message.body is None:
            raise ValueError("only a message whose content is kept can be accepted again")
        accepted = accepted_value(
            message.body.encode(),
            message_id=message.message_id,
            direction="in",
            contact_id=contact.contact_id,
            conversation_id=contact.conversation_id,
            profile_id=contact.profile_id,
            event_time=message.event_time,
            revision=revision,
        )
        value = revised_to_accepted_value(accepted, reason=reason, revised_at=now)
    fact = Fact(
        topic=topic,
        key=_input_key(message),
        value=value,
        ce_id=fact_id(topic, message.workspace_id, str(message.message_id), reason, cause_id),
        workspace_id=message.workspace_id,
        time=now,
        traceparent=cause.traceparent,
    )
    return Output(cause.source, fact)


class _Sender(Struct, frozen=True):
    address: str


class _Sent(Struct, frozen=True):
    sender: _Sender


_SENT = msgspec.json.Decoder(_Sent)


def _input_key(message: Stored) -> bytes:
    """The key producers give the message, its address spelt as they do: one partition takes all verdicts on it."""
    address = message.address if message.body is None else _SENT.decode(message.body).sender.address
    return f"{message.workspace_id}:{message.channel}:{address}".encode()
