"""Counts what was decided, by the events that tell it: after a COMMIT, once for a batch.

The counters show what other systems were told. A worker cannot forget to count, and a transaction that is run again
counts once.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from operator import attrgetter
from types import MappingProxyType
from typing import Final, NamedTuple, get_args

import msgspec
from msgspec import Struct

from schemas.outputs import SendState
from workers.process.metrics.of_workers import REVISIONS, VERDICTS
from workers.records import Event
from workers.rules.results import Reason
from workers.rules.sends import RefuseReason
from workers.rules.wording import CODES

NO_REASON: Final = "none"
OTHER: Final = "other"
ACCEPTED: Final = "messages.accepted"
DROPPED: Final = "messages.dropped"
REVISED: Final = "messages.revised"
STATUS: Final = "sends.status"
CONTROL: Final = "workflows.control"
RESULT: Final = "commands.results"


class Verdict(NamedTuple):
    """A decision as its output topic names it."""

    topic: str
    verdict: str
    reason: str = NO_REASON


class _Told(Struct, frozen=True, gc=False):
    """What the values of all these topics say of a decision; each topic has one of the first three."""

    status: str | None = None
    control: str | None = None
    outcome: str | None = None
    reason: str | None = None


_DECODER: Final = msgspec.json.Decoder(_Told)
_LATE: Final = ("late_block", "late_unblock", "released")
_DROPS: Final = ("contact_blocked", "contact_deleted")
_ENDS: Final = ("contact_blocked", "contact_deleted", "contact_merged")
_READ: Final = frozenset({DROPPED, REVISED, STATUS, CONTROL, RESULT})
_REASONS: Final = frozenset(
    {*CODES, *get_args(Reason), *get_args(RefuseReason), *_LATE, "unknown_run", "run_finished", "too_many_channels"}
)
"""Reasons that Sluice itself gives. Those of providers are as many as providers like."""

KNOWN: Final[Mapping[str, tuple[Verdict, ...]]] = MappingProxyType(
    {
        "inbound": (Verdict(ACCEPTED, "accepted"), *(Verdict(DROPPED, "dropped", reason) for reason in _DROPS)),
        "outbound": (
            *(Verdict(STATUS, state) for state in get_args(SendState)),
            *(Verdict(STATUS, "refused", reason) for reason in get_args(RefuseReason)),
        ),
        "commands": (
            Verdict(RESULT, "done"),
            *(Verdict(RESULT, "refused", reason) for reason in get_args(Reason)),
            *(Verdict(CONTROL, "run_halted", reason) for reason in _ENDS),
        ),
        "workflows": (
            Verdict(CONTROL, "step_granted"),
            *(Verdict(CONTROL, "run_halted", reason) for reason in _ENDS),
            *(Verdict(CONTROL, "run_refused", reason) for reason in (*_ENDS, "unknown_run", "run_finished")),
        ),
    }
)
"""By worker, what is shown before it happens for the first time."""
LATE: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({"commands": _LATE})


def decided(events: Sequence[Event]) -> Counter[Verdict]:
    """How often each decision is told. Other events count nothing."""
    found: Counter[Verdict] = Counter()
    # Most messages are accepted, and their values need not be read.
    topics = Counter(map(attrgetter("topic"), events))
    if accepted := topics[ACCEPTED]:
        found[Verdict(ACCEPTED, "accepted")] = accepted
    if not _READ.isdisjoint(topics):
        found.update(_verdict(e.topic, e.value) for e in events if e.topic in _READ and e.value is not None)
    return found


def count(worker: str, events: Sequence[Event]) -> None:
    """Counts what was committed. `worker`: who decided it."""
    for (topic, verdict, reason), times in decided(events).items():
        if topic == REVISED:
            REVISIONS.labels(worker, reason).inc(times)
        else:
            VERDICTS.labels(worker, topic, verdict, reason).inc(times)


def _verdict(topic: str, value: bytes) -> Verdict:
    try:
        told = _DECODER.decode(value)
    except msgspec.MsgspecError:  # what cannot be counted ends no worker
        told = _Told()
    reason = NO_REASON if told.reason is None else told.reason if told.reason in _REASONS else OTHER
    match topic:
        case "sends.status":
            return Verdict(topic, told.status or OTHER, reason)
        case "workflows.control":
            return Verdict(topic, told.control or OTHER, reason)
        case "commands.results":
            return Verdict(topic, told.outcome or OTHER, reason)
        case "messages.dropped":
            return Verdict(topic, "dropped", reason)
        case _:
            return Verdict(topic, "revised", reason)
