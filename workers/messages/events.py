"""Events about messages: accepted, dropped, revised."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec
from msgspec import Struct

from schemas.ids import fact_id, fact_ids, texts_of
from schemas.limits import MAX_KEY_BYTES
from schemas.outputs import ENCODER, MessageDropped, MessageRevised, accepted_value, revised_to_accepted_value
from workers.messages.decide import Judged
from workers.records import Event, Output, Record
from workers.rules.contact import Contact
from workers.rules.inbound import Dropped, MessageVerdict
from workers.store.messages import Stored

RevisionReason = Literal["late_block", "late_unblock", "released"]


def verdict_ids(judged: Sequence[Judged]) -> list[UUID]:
    """The `ce_id` of each verdict's event."""
    texts = texts_of([j.arrival.message_id for j in judged])
    return fact_ids(
        (_topic(j.verdict), j.arrival.record.value.workspace_id, text) for j, text in zip(judged, texts, strict=True)
    )


def _topic(verdict: MessageVerdict) -> str:
    return "messages.dropped" if isinstance(verdict, Dropped) else "messages.accepted"


def verdict_event(judged: Judged, ce_id: UUID, now: datetime) -> Output:
    """`messages.accepted` or `messages.dropped`, with the key of the input record."""
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
    return Output(record.source, Event(topic, key, value, ce_id, message.workspace_id, now, record.traceparent))


def revision_event(
    message: Stored,
    contact: Contact,
    reason: RevisionReason,
    revision: int,
    cause: Record[object],
    cause_id: str,
    now: datetime,
) -> Output:
    """`messages.revised`: a new event about a message whose verdict changed. Published events never change."""
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
    event = Event(
        topic=topic,
        key=_input_key(message),
        value=value,
        ce_id=fact_id(topic, message.workspace_id, str(message.message_id), reason, cause_id, f"revision {revision}"),
        workspace_id=message.workspace_id,
        time=now,
        traceparent=cause.traceparent,
    )
    return Output(cause.source, event)


class _Sender(Struct, frozen=True):
    address: str
    name: str | None = None
    language: str | None = None
    avatar_url: str | None = None


class _Sent(Struct, frozen=True):
    sender: _Sender


_SENT = msgspec.json.Decoder(_Sent)


def said_of_sender(message: Stored) -> list[str]:
    """The sender's values in a message: any of `name`, `language` and `avatar_url`."""
    if message.body is None:
        return []
    sender = _SENT.decode(message.body).sender
    return [said for said in ("name", "language", "avatar_url") if getattr(sender, said) is not None]


def _input_key(message: Stored) -> bytes:
    """The key of the message's input record, with the address in the producer's spelling: one partition has all its
    verdicts.
    """
    address = message.address if message.body is None else _SENT.decode(message.body).sender.address
    return f"{message.workspace_id}:{message.channel}:{address}".encode()
