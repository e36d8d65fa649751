"""May this send go? (contract 4.1-4.3) Asked when requested, confirmed, repeated and claimed; the later answer wins.

`sluice.claim_send` asks the same in SQL: change both together, `tests/workers/test_claim.py` compares them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from workers.rules.blocks import Interval, blocked_now, covering
from workers.rules.channels import Aim, Unreachable
from workers.rules.protection import Cover, Ground, codes, keys, uncovered

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
    """The contact, or the owner of the address: both are asked and the stricter answer wins."""

    intervals: tuple[Interval, ...] = ()
    grounds: tuple[Ground, ...] = ()
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """Everything a send is judged by. `opted_out` is the address's, `run_halted` that of the run it belongs to."""

    requested_at: datetime
    aim: Aim
    people: tuple[Person, ...] = ()
    opted_out: bool = False
    run_halted: bool = False


@dataclass(frozen=True, slots=True)
class Refuse:
    """Never sent."""

    reason: RefuseReason


@dataclass(frozen=True, slots=True)
class Hold:
    """Waits for a person: `reasons` are shown, `keys` are what a confirmation will cover."""

    reasons: tuple[str, ...]
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Goes to the sender."""


Verdict = Refuse | Hold | Dispatch


def judge(case: Case, cover: Cover) -> Verdict:
    """Refusals come first, in the contract's order; then protections that `cover` does not answer for."""
    reason = refusal(case)
    if reason is not None:
        return Refuse(reason)
    open_grounds = uncovered((g for p in case.people for g in p.grounds), cover)
    return Hold(codes(open_grounds), keys(open_grounds)) if open_grounds else Dispatch()


def refusal(case: Case) -> RefuseReason | None:
    """The first reason in the contract's order."""
    if any(p.deleted for p in case.people):
        return "contact_deleted"
    if any(blocked(p.intervals, case.requested_at) for p in case.people):
        return "contact_blocked"
    if case.opted_out:
        return "opted_out"
    if case.run_halted:
        return "run_halted"
    return case.aim.obstacle if isinstance(case.aim, Unreachable) else None


def blocked(intervals: tuple[Interval, ...], requested_at: datetime) -> bool:
    """Blocked now, or when the send was asked for."""
    return blocked_now(intervals) is not None or covering(intervals, requested_at) is not None


def cancelled_by(requested_at: datetime, before: Iterable[Interval], after: Iterable[Interval]) -> bool:
    """Whether a changed block history cancels a hold: it was asked for before the end of an interval that is new."""
    known = {(i.start, i.end) for i in before}
    return any(i.end is None or requested_at < i.end for i in after if (i.start, i.end) not in known)
