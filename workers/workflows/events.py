"""Events about runs: records of workflows.control for engines."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from schemas.ids import fact_id
from schemas.outputs import ENCODER, WorkflowControl
from workers.records import Event, Output, Record
from workers.rules.workflow_families import Families, RunEvent
from workers.rules.workflows import ControlFact, RunKey
from workers.sends import cancelling
from workers.store import workflows
from workers.store.connection import Connection
from workers.store.workflows import StepKey

TOPIC: Final = "workflows.control"

RunEvents = Sequence[tuple[RunEvent, Record[Any]]]
"""Events, each with the record that caused it."""


async def save_and_tell(tx: Connection, families: Families, run_events: RunEvents, now: datetime) -> list[Output]:
    """Saves decisions about locked runs, and refuses undispatched sends of stopped ones. Returns the events of both."""
    await workflows.add(tx, families.started())
    await workflows.save(tx, families.changed())
    run_events = await _as_first_asked(tx, run_events)
    outputs = [output(run_event, origin) for run_event, origin in run_events]
    stopped = {run_event.run: origin for run_event, origin in run_events if run_event.stops}
    # runs first: the refusal of their sends reads the stored rows
    return outputs + (await cancelling.refuse_halted(tx, stopped, now) if stopped else [])


async def _as_first_asked(tx: Connection, run_events: RunEvents) -> RunEvents:
    """The answers to steps with the time of the first request for each: a repeat is the same event."""
    asked: dict[StepKey, datetime] = {}
    for run_event, _ in run_events:
        if (step := _step(run_event)) is not None:
            asked.setdefault(step, run_event.event.at)
    first = await workflows.first_asked(tx, asked)
    return [
        (run_event._replace(event=run_event.event._replace(at=first[step])) if step is not None else run_event, origin)
        for run_event, origin in run_events
        for step in [_step(run_event)]
    ]


def _step(run_event: RunEvent) -> StepKey | None:
    """The step of a known run that an event answers; None if the event is about the run."""
    said = run_event.event
    if said.step_id is None or not (said.control == "step_granted" or said.reason == "run_finished"):
        return None
    return *run_event.run, said.step_id


def output(run_event: RunEvent, origin: Record[Any]) -> Output:
    """One event as an output of the input partition of `origin`."""
    (workspace_id, run_id), said = run_event.run, run_event.event
    value = WorkflowControl(
        workspace_id=workspace_id,
        run_id=run_id,
        control=said.control,
        step_id=said.step_id,
        outcome=None,
        reason=said.reason,
        contact_id=run_event.contact_id,
        at=said.at,
        revision=said.revision,
    )
    event = Event(
        topic=TOPIC,
        key=f"{workspace_id}:{run_id}".encode(),
        value=ENCODER.encode(value),
        ce_id=_event_id(run_event.run, said),
        workspace_id=workspace_id,
        time=said.at,
        traceparent=origin.traceparent,
    )
    return Output(origin.source, event)


def _event_id(run: RunKey, said: ControlFact) -> UUID:
    revision = f"revision {said.revision}"
    if said.control == "step_granted" or said.reason in ("unknown_run", "run_finished"):
        # Nothing is stored of an unknown run: there it is the time of this request.
        return fact_id(TOPIC, *run, said.control, said.reason or "", said.step_id or "", said.at.isoformat(), revision)
    # A run's end is published once, for any step. Late events may change it and change it back, which is another event.
    return fact_id(TOPIC, *run, said.control, said.reason or "", revision)
