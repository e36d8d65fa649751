"""What the step of a run hears of its send once that was held: `step_resolved` with an outcome (contract 6)."""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

StepOutcome = Literal["sent", "failed", "rejected", "expired", "cancelled", "refused"]

_BY_STATUS: Final[Mapping[str, StepOutcome]] = {
    "released": "sent",
    "dispatched": "sent",
    "sent": "sent",
    "delivered": "sent",
    "read": "sent",
    "ambiguous": "sent",
    "failed": "failed",
    "rejected": "rejected",
    "expired": "expired",
    "cancelled": "cancelled",
    "refused": "refused",
}


class SendStanding(NamedTuple):
    """The status of a send. `another_follows`: it failed, and another attempt is due."""

    status: str
    another_follows: bool = False


def outcome_of(standing: SendStanding) -> StepOutcome | None:
    """The outcome as the send stands; None: the step waits.

    A step goes on once its send is released, like one whose send was never held: `sent` says that the send is on its
    way, and that nothing says it failed for good.
    """
    if standing.another_follows:
        return "sent"
    return _BY_STATUS.get(standing.status)


def outcome_to_tell(before: SendStanding, after: SendStanding, *, was_held: bool) -> StepOutcome | None:
    """The outcome to tell after a change of the send; None: nothing new. The step of a send that was never held does
    not wait.
    """
    outcome = outcome_of(after)
    return outcome if was_held and outcome != outcome_of(before) else None
