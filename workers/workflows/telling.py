"""What engines are told, as records of workflows.control."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from schemas.ids import fact_id
from schemas.outputs import ENCODER, WorkflowControl
from workers.outbound import cancelling
from workers.rules.workflow_families import Families, Telling
from workers.rules.workflows import ControlFact, RunKey
from workers.runtime.batch import Connection, Fact, Output, Record
from workers.store import workflows

TOPIC: Final = "workflows.control"

Told = Sequence[tuple[Telling, Record[Any]]]
"""Facts, each with the record that brought it about."""


async def save_and_tell(tx: Connection, families: Families, told: Told, now: datetime) -> list[Output]:
    """Save what was decided about locked runs and refuse what stopped ones have not sent yet; the facts of both."""
    await workflows.add(tx, families.started())
    await workflows.save(tx, families.changed())
    outputs = [output(telling, origin) for telling, origin in told]
    stopped = {telling.run: origin for telling, origin in told if telling.stops}
    # runs first: their sends are refused by what is stored of them
    return outputs + (await cancelling.refuse_halted(tx, stopped, now) if stopped else [])


def output(telling: Telling, origin: Record[Any]) -> Output:
    """One fact as it travels, owed by the input partition of `origin`."""
    (workspace_id, run_id), said = telling.run, telling.fact
    value = WorkflowControl(
        workspace_id=workspace_id,
        run_id=run_id,
        control=said.control,
        step_id=said.step_id,
        outcome=None,
        reason=said.reason,
        contact_id=telling.contact_id,
        at=said.at,
        revision=said.revision,
    )
    fact = Fact(
        topic=TOPIC,
        key=f"{workspace_id}:{run_id}".encode(),
        value=ENCODER.encode(value),
        ce_id=_fact_id(telling.run, said),
        workspace_id=workspace_id,
        time=said.at,
        traceparent=origin.traceparent,
    )
    return Output(origin.source, fact)


def _fact_id(run: RunKey, said: ControlFact) -> UUID:
    about_step = said.control == "step_granted" or said.reason in ("unknown_run", "run_finished")
    # A run's end is said once, whatever step asked; late facts may change it and change it back, which is another fact.
    what = (said.step_id or "") if about_step else f"revision {said.revision}"
    return fact_id(TOPIC, *run, said.control, said.reason or "", what)
