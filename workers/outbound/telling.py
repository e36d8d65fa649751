"""Facts about sends as they are published."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, TypeVar

import msgspec

from schemas.ids import fact_id
from schemas.inbound import Content
from schemas.outputs import ENCODER, SendDispatch, SendStatus, WorkflowControl
from schemas.sends import Confirmation
from workers.runtime.batch import Fact, Output, Record, Source
from workers.store.sends import RunKey, Send

T = TypeVar("T")

Outcome = Literal["sent", "rejected", "expired", "cancelled"]

OUTCOMES: Final[dict[str, Outcome]] = {
    "released": "sent",
    "sent": "sent",
    "delivered": "sent",
    "read": "sent",
    "ambiguous": "sent",
    "rejected": "rejected",
    "expired": "expired",
    "cancelled": "cancelled",
    "refused": "cancelled",
}
"""What a waiting step is told when its send leaves `held`."""

_CONTENT: Final = msgspec.json.Decoder(Content)


class Origin(NamedTuple):
    """The input that a fact follows from. Facts of jobs have none: their `source` is not a topic's."""

    source: Source
    traceparent: bytes | None


NOTHING_CAME_IN: Final = Origin(Source("upkeep", 0), None)
"""Time is the cause: such facts have no input partition and travel through the outbox."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something became of a send. `name` is what tells its facts' ids from those of other causes."""

    name: str
    origin: Origin
    actor: str | None = None


def origin_of(record: Record[Any]) -> Origin:
    return Origin(record.source, record.traceparent)


def origin_in(send: Send) -> Origin:
    """What a fact about a send follows from when nothing came in: the request, as far as tracing goes."""
    traceparent = send.traceparent.encode() if send.traceparent is not None else None
    return NOTHING_CAME_IN._replace(traceparent=traceparent)


def status_fact(send: Send, cause: Cause, at: datetime, now: datetime) -> Output:
    """`sends.status`: how the send stands. `at` is when that came about, `now` when it was decided."""
    value = SendStatus(
        workspace_id=send.workspace_id,
        send_id=send.send_id,
        contact_id=send.contact_id,
        status=send.status,  # type: ignore[arg-type]
        reason=send.reason,
        reasons=list(send.reasons) if send.status == "held" else None,
        attempt=send.best_attempt or None,
        at=at,
        actor=cause.actor,
        revision=send.revision,
    )
    about = (send.workspace_id, str(send.send_id), send.status, str(send.best_attempt), cause.name)
    return _output("sends.status", str(send.send_id), value, about, send.workspace_id, cause.origin, now)


def dispatch_fact(send: Send, cause: Cause, now: datetime) -> Output:
    """`sends.dispatch`: the latest attempt. Told again it has the same id."""
    confirmed = send.confirmed_by is not None and send.confirmed_at is not None
    value = SendDispatch(
        workspace_id=send.workspace_id,
        send_id=send.send_id,
        attempt=send.attempt,
        channel_id=send.channel_id,
        channel=send.channel,  # type: ignore[arg-type]
        contact_id=_given(send.contact_id),
        address=_given(send.address),
        content=_CONTENT.decode(send.content),
        source=send.source,  # type: ignore[arg-type]
        group_id=send.group_id,
        confirmation=Confirmation(confirmed_by=send.confirmed_by, confirmed_at=send.confirmed_at)  # type: ignore[arg-type]
        if confirmed
        else None,
    )
    about = (send.workspace_id, str(send.send_id), str(send.attempt))
    return _output("sends.dispatch", send.channel_id, value, about, send.workspace_id, cause.origin, now)


@dataclass(frozen=True, slots=True)
class Resolution:
    """A step that waited for a held send, and the answer."""

    send: Send
    outcome: Outcome
    cause: Cause
    at: datetime

    @property
    def run_key(self) -> RunKey:
        return self.send.workspace_id, _given(self.send.run_id)


def resolution_facts(resolutions: Iterable[tuple[Resolution, int]], now: datetime) -> list[Output]:
    """`workflows.control`, `step_resolved`, each with the run's revision."""
    return [_resolution_fact(resolution, revision, now) for resolution, revision in resolutions]


def _resolution_fact(resolution: Resolution, revision: int, now: datetime) -> Output:
    send = resolution.send
    run_id = resolution.run_key[1]
    value = WorkflowControl(
        workspace_id=send.workspace_id,
        run_id=run_id,
        control="step_resolved",
        step_id=send.step_id,
        outcome=resolution.outcome,
        reason=send.reason,
        contact_id=send.contact_id,
        at=resolution.at,
        revision=revision,
    )
    about = (send.workspace_id, run_id, "step_resolved", str(send.send_id), resolution.outcome, resolution.cause.name)
    return _output("workflows.control", run_id, value, about, send.workspace_id, resolution.cause.origin, now)


def _given(value: T | None) -> T:
    """What a send that was judged fit to go cannot lack."""
    if value is None:
        raise ValueError("a send lacks what it was judged by")
    return value


def _output(
    topic: str,
    key: str,
    value: msgspec.Struct,
    about: tuple[str, ...],
    workspace_id: str,
    origin: Origin,
    now: datetime,
) -> Output:
    fact = Fact(
        topic=topic,
        key=f"{workspace_id}:{key}".encode(),
        value=ENCODER.encode(value),
        ce_id=fact_id(topic, *about),
        workspace_id=workspace_id,
        time=now,
        traceparent=origin.traceparent,
    )
    return Output(origin.source, fact)
