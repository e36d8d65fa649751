"""Runs pending work that commands left: one step at a time, the workspaces in turn."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final

from workers.billing import earlier_closing
from workers.contacts import moving_holds
from workers.messages import late_blocks, moving, recounting, releasing
from workers.records import Event
from workers.sends import hold_answer_steps
from workers.services.job_runner import Job, Unfinished
from workers.store import pending_work
from workers.store.connection import Connection
from workers.store.pending_work import WorkStep
from workers.workflows import halting

STEPS_BY_KIND: Final[Mapping[str, WorkStep]] = MappingProxyType(
    {
        late_blocks.REVISE: late_blocks.run_step,
        moving.MOVE: moving.run_step,
        moving_holds.MOVE_HOLDS: moving_holds.run_step,
        releasing.RELEASE: releasing.run_step,
        recounting.RECOUNT: recounting.run_step,
        recounting.RECOUNT_OF_CONTACT: recounting.run_contact_step,
        earlier_closing.FIND_LATE: earlier_closing.run_step,
        **hold_answer_steps.ANSWER_STEPS,
        **halting.HALT_STEPS,
    }
)
"""The step function for each kind of work."""


class FairTurns:
    """A job that chooses a workspace and then runs a step of it, each in a transaction of its own.

    So a step that fails does not stop the others: its workspace has had its turn.
    """

    def __init__(self, steps: Mapping[str, WorkStep] = STEPS_BY_KIND) -> None:
        self._steps = steps
        self._chosen: str | None = None

    async def run(self, tx: Connection, now: datetime) -> Sequence[Event] | Unfinished:
        """Chooses a workspace, or runs the step of the chosen one."""
        chosen, self._chosen = self._chosen, None
        if chosen is None:
            self._chosen = await pending_work.choose(tx)
            return Unfinished() if self._chosen is not None else ()
        work = await pending_work.next_of(tx, chosen)
        if work is None:
            return Unfinished()
        stepped = await self._steps[work.kind](tx, work, now)
        await pending_work.save(tx, work, stepped)
        return Unfinished([output.event for output in stepped.outputs])


JOBS: Final = (Job("work in steps", 1, FairTurns().run),)
