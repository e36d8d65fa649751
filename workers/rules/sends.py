"""Whether a send may go (contract 4.1-4.3). Judged at request, confirmation, retry and claim; the latest verdict holds.

`claim_send` and `may_send` are the same rules in SQL: change both together, `tests/store/test_one_answer.py` compares.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from workers.rules.blocks import Interval, blocked_now, covering
from workers.rules.channels import Obstacle
from workers.rules.protection import Cover, Ground, codes, keys, uncovered

FOREVER: Final = datetime.max.replace(tzinfo=UTC)

RefuseReason = Literal[
    "contact_deleted",
    "contact_blocked",
    "opted_out",
    "run_halted",
    "bad_address",
    "contact_must_initiate",
    "unknown_contact",
]


@dataclass(frozen=True, slots=True)
class Person:
    """The contact, or the owner of the address: both are judged and the stricter verdict wins."""

    intervals: tuple[Interval, ...] = ()
    grounds: tuple[Ground, ...] = ()
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """The context of a send: everything that it is judged by. `opted_out` is the address's, `run_halted` that of its
    run.

    `obstacle`: why the address cannot be used.
    """

    requested_at: datetime
    obstacle: Obstacle | None = None
    people: tuple[Person, ...] = ()
    opted_out: bool = False
    run_halted: bool = False


@dataclass(frozen=True, slots=True)
class Refuse:
    """Never sent."""

    reason: RefuseReason


@dataclass(frozen=True, slots=True)
class Hold:
    """Waits for a user: `reasons` are shown, `keys` are what a confirmation will cover."""

    reasons: tuple[str, ...]
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Goes to the sender."""


SendVerdict = Refuse | Hold | Dispatch


def judge(case: Case, cover: Cover) -> SendVerdict:
    """Refusals come first, in the contract's order; then protections that `cover` does not cover."""
    for reason in refusals(case):
        return Refuse(reason)
    open_grounds = uncovered((g for p in case.people for g in p.grounds), cover)
    return Hold(codes(open_grounds), keys(open_grounds)) if open_grounds else Dispatch()


def refusals(case: Case) -> Iterator[RefuseReason]:
    """Every reason to refuse it, in the contract's order."""
    if any(p.deleted for p in case.people):
        yield "contact_deleted"
    if any(blocked(p.intervals, case.requested_at) for p in case.people):
        yield "contact_blocked"
    if case.opted_out:
        yield "opted_out"
    if case.run_halted:
        yield "run_halted"
    if case.obstacle is not None:
        yield case.obstacle


def blocked(intervals: tuple[Interval, ...], requested_at: datetime) -> bool:
    """Whether the contact is blocked now, or was when the send was requested."""
    return blocked_now(intervals) is not None or covering(intervals, requested_at) is not None


def cancelled_until(before: Iterable[Interval], after: Iterable[Interval]) -> datetime | None:
    """A changed block history cancels the holds that were requested before this time: the latest end of a new interval;
    `FOREVER`: one has not ended. None: it cancels nothing.
    """
    known = {(i.start, i.end) for i in before}
    return max((i.end or FOREVER for i in after if (i.start, i.end) not in known), default=None)
