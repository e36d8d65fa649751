"""How an attempt and its send progress, in any order of receipts (contract 4.6)."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, Literal
from uuid import UUID

from workers.rules.results import Done, Refused, Result

AttemptStatus = Literal["dispatched", "sent", "delivered", "read", "failed", "ambiguous"]

PAUSES: Final = tuple(timedelta(seconds=s) for s in (30, 120, 480, 1_920))
SHORTEST, LONGEST = 0.8, 1.2
"""Pauses differ by these factors, so that sends that failed together do not come back together."""
SHORTEST_WAIT: Final = timedelta(seconds=5)
"""The next attempt after a throttled one waits by this time at least, whatever the provider or a wrong clock says."""
LONGEST_WAIT: Final = timedelta(days=1)
"""A provider can put off an attempt by this time at most."""
MOST_THAT_COUNT: Final = len(PAUSES) + 1
"""No attempt follows as many that failed and count; throttled ones do not."""
MOST_IN_ALL: Final = 100
"""No attempt follows as many that failed, also if they are throttled: a provider may throttle for ever."""
ACCEPTED: Final = frozenset({"sent", "delivered", "read"})

NOT_CLAIMED: Final = "not_claimed"
"""The error code of an attempt that nobody claimed in time, and the reason of its send."""

Settlement = Literal["sent", "failed", "retry"]
"""What a person says of a send of which the sender cannot know whether it went out."""

_OVER: Final = frozenset({"refused", "rejected", "expired", "cancelled", "failed", *ACCEPTED})

# Within one attempt the later status in this list wins, in any order of arrival.
_WITHIN: Final[Mapping[AttemptStatus, int]] = {
    "dispatched": 0,
    "ambiguous": 1,
    "sent": 2,
    "failed": 3,
    "delivered": 4,
    "read": 5,
}
# Between attempts the send shows the best status.
_BETWEEN: Final[Mapping[AttemptStatus, int]] = {
    "failed": 0,
    "ambiguous": 1,
    "dispatched": 2,
    "sent": 3,
    "delivered": 4,
    "read": 5,
}


def later(known: AttemptStatus, said: AttemptStatus, *, by_clock: bool = False) -> AttemptStatus:
    """The new status of an attempt after a receipt: it only moves forward.

    `by_clock`: its time ran out, and no receipt gave it the status. Then any receipt replaces it, except `ambiguous`,
    which changes only an attempt that is `dispatched`.
    """
    if by_clock and said != "ambiguous":
        return said
    return max(known, said, key=lambda s: _WITHIN[s])


def out_of_time(*, claimed: bool) -> AttemptStatus:
    """The status of a dispatched attempt whose time is over. Nobody knows what a sender did with a claimed one."""
    return "ambiguous" if claimed else "failed"


def standing(attempts: Mapping[int, AttemptStatus]) -> dict[int, AttemptStatus]:
    """The attempts as they count for their send. One that another followed can never be claimed: without a receipt it
    counts as failed.
    """
    latest = max(attempts)
    return {n: "failed" if status == "dispatched" and n < latest else status for n, status in attempts.items()}


def best(attempts: Mapping[int, AttemptStatus]) -> int:
    """The number of the attempt whose status the send shows; of equal ones the latest."""
    return max(attempts, key=lambda number: (_BETWEEN[attempts[number]], number))


def spread(send_id: UUID, attempt: int) -> float:
    """A number from 0 to 1 that looks random and is always the same for one attempt."""
    digest = sha256(send_id.bytes + attempt.to_bytes(4)).digest()
    return int.from_bytes(digest[:6]) / 2**48


def is_throttled(status: AttemptStatus, *, permanent: bool, not_before: datetime | None) -> bool:
    """Whether the provider only told the sender of an attempt to slow down: it failed, not permanently, and a receipt
    said how long to wait. Whatever other receipts say of the attempt, and in whichever order, that stays so unless one
    shows more than a failure, or says that it is permanent.
    """
    return status == "failed" and not permanent and not_before is not None


def another_may_follow(attempts: Collection[int], throttled: Collection[int]) -> bool:
    """Whether a send that has these attempts may have one more. `throttled`: those that do not count."""
    return len(attempts) - len(throttled) < MOST_THAT_COUNT and max(attempts) < MOST_IN_ALL


def pause_before_next(
    attempts: Mapping[int, AttemptStatus], *, throttled: Collection[int] = (), permanent: bool, share: float
) -> timedelta | None:
    """The pause before another attempt; None: none follows, because one did not fail, or failed permanently, or there
    were enough.

    The pauses grow with the number of attempts that count. After a throttled attempt the pause is the shortest wait:
    the provider says how much longer. `share`, from 0 to 1, places a growing pause between its shortest and its
    longest.
    """
    failed = all(status == "failed" for status in attempts.values())
    if permanent or not failed or not another_may_follow(attempts, throttled):
        return None
    if max(attempts) in throttled:
        return SHORTEST_WAIT
    return PAUSES[len(attempts) - len(throttled) - 1] * (SHORTEST + (LONGEST - SHORTEST) * share)


def wait_for_provider(retry_after_s: float) -> timedelta:
    """How long the next attempt waits at least, by the provider's word."""
    return timedelta(seconds=min(retry_after_s, LONGEST_WAIT.total_seconds()))


def settle(
    status: str, attempts: Mapping[int, AttemptStatus], as_: Settlement, *, throttled: Collection[int] = ()
) -> Result:
    """The result of a person's word about a send with this status and these attempts. `throttled`: those that do not
    count.
    """
    if status != "ambiguous":
        if (as_ == "sent" and status in ACCEPTED) or (as_ == "failed" and status == "failed"):
            return Done()
        detail = f"`send_id`: expected a send that is ambiguous; this one is {status}"
        return Refused("already_final" if status in _OVER else "invalid", detail)
    if as_ != "retry":
        return Done({"status": as_})
    latest = max(attempts)
    repeatable = set(standing(attempts).values()) <= {"failed", "ambiguous"}
    if not repeatable or not another_may_follow(attempts, throttled):
        return Refused("invalid", f"`as`: expected sent or failed; after attempt {latest} no other one may follow")
    return Done({"status": "failed", "next_attempt": latest + 1})
