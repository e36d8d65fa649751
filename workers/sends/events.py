"""Builds the output events about sends: `sends.status`, `sends.dispatch`, and `step_resolved` of a waiting step."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from schemas.ids import fact_ids
from schemas.inbound import Content
from schemas.outputs import ENCODER, SendDispatch, SendStatus, WorkflowControl
from schemas.sends import Confirmation
from workers.records import Event, Output, Partition, Record
from workers.rules.step_outcomes import StepOutcome
from workers.rules.workflows import RunKey
from workers.store.sends import Send

T = TypeVar("T")

_CONTENT: Final = msgspec.json.Decoder(Content)


class Origin(NamedTuple):
    """The input record that caused an event. An event of a job has none: its `source` names no topic."""

    source: Partition
    traceparent: bytes | None


NO_INPUT: Final = Origin(Partition("upkeep", 0), None)
"""The origin of events that a job causes. They have no input partition."""


class Draft(NamedTuple):
    """An event without its id, which is made of `about`. `now`: the time of the decision."""

    topic: str
    key: str
    value: msgspec.Struct
    about: tuple[str, ...]
    workspace_id: str
    origin: Origin
    now: datetime


@dataclass(frozen=True, slots=True)
class SendCause:
    """Why a send changed. `name` is a part of the events' ids, so events of different causes have different ids.
    `detail` is for people.
    """

    name: str
    origin: Origin
    actor: str | None = None
    detail: str | UnsetType = UNSET


def origin_of_record(record: Record[Any]) -> Origin:
    return Origin(record.source, record.traceparent)


def origin_without_input(send: Send) -> Origin:
    """The origin of an event that a job causes. It keeps the traceparent of the request."""
    traceparent = send.traceparent.encode() if send.traceparent is not None else None
    return NO_INPUT._replace(traceparent=traceparent)


def printable(traceparent: bytes | None) -> str | None:
    """Returns the header as text. Returns None if it is not printable ASCII: later events then have no traceparent."""
    if traceparent is None or not traceparent.isascii():
        return None
    text = traceparent.decode("ascii")
    return text if text.isprintable() else None


def status_event(send: Send, cause: SendCause, at: datetime, now: datetime) -> Draft:
    """`sends.status`: the current status of a send. `at` is the time of the change, `now` the time of the decision."""
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
        detail=cause.detail,
    )
    about = (send.workspace_id, str(send.send_id), send.status, cause.name, f"revision {send.revision}")
    return Draft("sends.status", str(send.send_id), value, about, send.workspace_id, cause.origin, now)


def dispatch_event(send: Send, cause: SendCause) -> Draft:
    """`sends.dispatch`: the latest attempt. A second call for the same attempt gives the same `ce_id` and time."""
    confirmed = send.confirmed_by is not None and send.confirmed_at is not None
    value = SendDispatch(
        workspace_id=send.workspace_id,
        send_id=send.send_id,
        attempt=send.attempt,
        channel_id=send.channel_id,
        channel=send.channel,  # type: ignore[arg-type]
        contact_id=_required(send.contact_id),
        address=_required(send.address),
        content=_CONTENT.decode(send.content),
        source=send.source,  # type: ignore[arg-type]
        group_id=send.group_id,
        confirmation=Confirmation(confirmed_by=send.confirmed_by, confirmed_at=send.confirmed_at)  # type: ignore[arg-type]
        if confirmed
        else None,
    )
    about = (send.workspace_id, str(send.send_id), str(send.attempt))
    return Draft("sends.dispatch", send.channel_id, value, about, send.workspace_id, cause.origin, send.updated_at)


@dataclass(frozen=True, slots=True)
class Resolution:
    """The step of a send that was held, and the outcome."""

    send: Send
    outcome: StepOutcome
    cause: SendCause
    at: datetime

    @property
    def run_key(self) -> RunKey:
        return self.send.workspace_id, _required(self.send.run_id)


def resolution_events(resolutions: Iterable[tuple[Resolution, int]], now: datetime) -> list[Draft]:
    """`workflows.control`, `step_resolved`, each with the revision of its run."""
    return [_resolution_event(resolution, revision, now) for resolution, revision in resolutions]


def _resolution_event(resolution: Resolution, revision: int, now: datetime) -> Draft:
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
    # An outcome can come again, so the id has the revision.
    id_parts = (*about, f"revision {send.revision}")
    return Draft("workflows.control", run_id, value, id_parts, send.workspace_id, resolution.cause.origin, now)


def _required(value: T | None) -> T:
    """Returns the value.

    Raises:
        ValueError: it is None.
    """
    if value is None:
        raise ValueError("a send has no contact, address or run")
    return value


def outputs_of(drafts: Sequence[Draft]) -> list[Output]:
    """The events with their ids, which are made together because that takes a third of the time."""
    ids = fact_ids((draft.topic, *draft.about) for draft in drafts)
    return [_output(draft, ce_id) for draft, ce_id in zip(drafts, ids, strict=True)]


def _output(draft: Draft, ce_id: UUID) -> Output:
    event = Event(
        topic=draft.topic,
        key=f"{draft.workspace_id}:{draft.key}".encode(),
        value=ENCODER.encode(draft.value),
        ce_id=ce_id,
        workspace_id=draft.workspace_id,
        time=draft.now,
        traceparent=draft.origin.traceparent,
    )
    return Output(draft.origin.source, event)
