"""The states of a send as one table: state and event -> states that may follow (contract 4).

`workers/sends/transitions.py` goes by it, `docs/sends.md` shows it (`python -m tools.send_states`), and a test walks
it. To change what may happen to a send, change this table first.
"""

from collections.abc import Iterator, Mapping
from typing import Final, Literal, NamedTuple, get_args

State = Literal[
    "requested",
    "held",
    "released",
    "dispatched",
    "retrying",
    "ambiguous",
    "sent",
    "delivered",
    "read",
    "failed",
    "refused",
    "rejected",
    "expired",
    "cancelled",
]
"""`retrying` is the status `failed` while another attempt follows; every other state is the status of its name."""

SendEvent = Literal[
    "request",
    "confirm",
    "reject",
    "expiry",
    "block",
    "deletion",
    "halt",
    "dispatch",
    "denied claim",
    "retry",
    "receipt sent",
    "receipt delivered",
    "receipt read",
    "receipt failed",
    "receipt ambiguous",
    "settle sent",
    "settle failed",
    "settle retry",
    "no claim",
    "no receipt",
]

STATES: Final[tuple[State, ...]] = get_args(State)
EVENTS: Final[tuple[SendEvent, ...]] = get_args(SendEvent)
RECEIPTS: Final[Mapping[str, SendEvent]] = {
    "sent": "receipt sent",
    "delivered": "receipt delivered",
    "read": "receipt read",
    "failed": "receipt failed",
    "ambiguous": "receipt ambiguous",
}
"""The event of a receipt, by its status."""
SETTLEMENTS: Final[Mapping[str, SendEvent]] = {
    "sent": "settle sent",
    "failed": "settle failed",
    "retry": "settle retry",
}
"""The event of a person's word, by what it says."""


class Transition(NamedTuple):
    """One row of the table. `reason`: what `sends.reason` says then, for people; None: nothing."""

    state: State
    event: SendEvent
    to: State
    reason: str | None = None


class ImpossibleTransitionError(ValueError):
    """The code tried what the table does not know."""


_FIRST: Final = "the first reason of the refusal"
_CODE: Final = "`error.code`"
ENDED: Final[tuple[State, ...]] = ("refused", "rejected", "expired", "cancelled")
"""Nothing of the send is dispatched any more, unless a person settles it so."""
IDLE: Final[tuple[State, ...]] = ("held", *ENDED)
"""Nothing is on its way. Still a sender may have sent an earlier attempt, so a receipt of it is believed."""


def _rows() -> Iterator[Transition]:
    yield from _judged("requested", "request", "dispatched", "`invalid`, or " + _FIRST)
    yield from _judged("held", "confirm", "released", _FIRST)
    yield Transition("held", "reject", "rejected")
    yield Transition("held", "expiry", "expired")
    yield Transition("held", "block", "cancelled", "`contact_blocked`")
    yield Transition("held", "deletion", "cancelled", "`contact_deleted`")
    yield Transition("held", "halt", "refused", "`run_halted`")
    yield Transition("released", "dispatch", "dispatched")
    yield from _judged("dispatched", "denied claim", "dispatched", _FIRST)
    yield from _judged("retrying", "retry", "dispatched", _FIRST)
    for state in ("dispatched", "ambiguous", "retrying", "failed", *IDLE):
        yield Transition(state, "receipt sent", "sent")
    for state in ("dispatched", "ambiguous", "retrying", "failed", "sent", *IDLE):
        yield Transition(state, "receipt delivered", "delivered")
    for state in ("dispatched", "ambiguous", "retrying", "failed", "sent", "delivered", *IDLE):
        yield Transition(state, "receipt read", "read")
    for state in ("dispatched", "ambiguous", "sent"):
        yield Transition(state, "receipt failed", "retrying", _CODE)
        yield Transition(state, "receipt failed", "failed", _CODE)
    yield Transition("retrying", "receipt failed", "failed", _CODE)
    # It was `not_claimed`, or one of its attempts no longer counts.
    yield Transition("failed", "receipt failed", "retrying", _CODE)
    # Of several attempts the send shows the best one that is left.
    yield Transition("sent", "receipt failed", "dispatched")
    yield Transition("sent", "receipt failed", "ambiguous")
    yield Transition("dispatched", "receipt failed", "ambiguous")
    for state in ("dispatched", "retrying", "failed", *IDLE):
        yield Transition(state, "receipt ambiguous", "ambiguous")
    yield Transition("ambiguous", "settle sent", "sent")
    yield Transition("ambiguous", "settle failed", "failed", "`settled`")
    yield Transition("ambiguous", "settle retry", "retrying", "`settled`")
    yield Transition("dispatched", "no claim", "failed", "`not_claimed`")
    yield Transition("dispatched", "no claim", "ambiguous")
    yield Transition("dispatched", "no receipt", "ambiguous")


def _judged(state: State, event: SendEvent, goes: State, refusal: str) -> Iterator[Transition]:
    """A send that is judged goes, is held, or is refused."""
    yield Transition(state, event, goes)
    yield Transition(state, event, "held")
    yield Transition(state, event, "refused", refusal)


TRANSITIONS: Final[tuple[Transition, ...]] = tuple(_rows())

_AFTER: Final[Mapping[tuple[State, SendEvent], frozenset[State]]] = {
    (row.state, row.event): frozenset(r.to for r in TRANSITIONS if (r.state, r.event) == (row.state, row.event))
    for row in TRANSITIONS
}


def after(state: State, event: SendEvent) -> frozenset[State]:
    """The states that may follow; none: the event changes nothing."""
    return _AFTER.get((state, event), frozenset())


def state_of(status: str, *, another_follows: bool) -> State:
    """The state of a send with this status. `another_follows`: it failed, and another attempt is due."""
    return "retrying" if status == "failed" and another_follows else _NAMED[status]


_NAMED: Final[Mapping[str, State]] = {state: state for state in STATES if state != "retrying"}


def require(state: State, event: SendEvent, to: State) -> None:
    """Raises ImpossibleTransitionError if the table does not know the transition. A receipt may leave the state as it
    is: it may be about another attempt, or give another reason.
    """
    stays = state == to and event.startswith(("receipt ", "settle "))
    if not stays and to not in after(state, event):
        raise ImpossibleTransitionError(f"a send that is {state} cannot become {to} by: {event}")
