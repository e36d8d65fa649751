"""Refuse, hold, dispatch: contract 4.1 to 4.3."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from workers.rules.blocks import Interval
from workers.rules.protection import Cover, Ground
from workers.rules.sends import FOREVER, Case, Dispatch, Hold, Person, Refuse, cancelled_until, judge, refusals

T = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
VIP = Ground("status_protected", "status_protected:VIP", T)
ACME = Ground("company_protected", "company_protected:acme", T)
FREE = Case(T, None, (Person(),))


def blocked(start: datetime, end: datetime | None = None) -> Person:
    return Person((Interval(start, end, "ann"),))


def test_what_nothing_speaks_against_is_dispatched() -> None:
    assert judge(FREE, Cover()) == Dispatch()


def test_the_first_reason_in_order_is_told() -> None:
    everything = Case(
        T,
        "bad_address",
        (Person(deleted=True, grounds=(VIP,)), blocked(T - HOUR)),
        opted_out=True,
        run_halted=True,
    )
    less = [
        everything,
        replace(everything, people=(blocked(T - HOUR),)),
        replace(everything, people=(Person(grounds=(VIP,)),)),
        replace(everything, people=(), opted_out=False),
        replace(everything, people=(), opted_out=False, run_halted=False),
        Case(T, "contact_must_initiate"),
        Case(T, "unknown_contact"),
    ]
    assert [judge(case, Cover()) for case in less] == [
        Refuse("contact_deleted"),
        Refuse("contact_blocked"),
        Refuse("opted_out"),
        Refuse("run_halted"),
        Refuse("bad_address"),
        Refuse("contact_must_initiate"),
        Refuse("unknown_contact"),
    ]


def test_all_reasons_are_known_in_order() -> None:
    case = Case(T, "bad_address", (Person(deleted=True), blocked(T - HOUR)), opted_out=True, run_halted=True)
    assert list(refusals(case)) == ["contact_deleted", "contact_blocked", "opted_out", "run_halted", "bad_address"]
    assert list(refusals(FREE)) == []


@pytest.mark.parametrize(
    ("person", "refused"),
    [
        (blocked(T - HOUR), True),
        (blocked(T + HOUR), True),  # blocked since it was asked for
        (blocked(T - HOUR, T + HOUR), True),  # blocked when it was asked for, and no more
        (blocked(T, T + HOUR), True),
        (blocked(T - HOUR, T), False),
        (blocked(T + HOUR, T + 2 * HOUR), False),
    ],
)
def test_blocked_now_or_when_it_was_asked_for(person: Person, refused: bool) -> None:  # noqa: FBT001
    assert (judge(replace(FREE, people=(person,)), Cover()) == Refuse("contact_blocked")) is refused


def test_the_owner_of_the_address_is_asked_as_well_and_the_stricter_wins() -> None:
    assert judge(replace(FREE, people=(Person(), blocked(T - HOUR))), Cover()) == Refuse("contact_blocked")
    guarded = replace(FREE, people=(Person(grounds=(VIP,)), Person(grounds=(ACME,))))
    reasons = ("company_protected", "status_protected")
    assert judge(guarded, Cover()) == Hold(reasons, (ACME.key, VIP.key))


def test_a_refusal_comes_before_a_hold() -> None:
    assert judge(replace(FREE, people=(Person(grounds=(VIP,)),), opted_out=True), Cover()) == Refuse("opted_out")


def test_what_was_confirmed_goes() -> None:
    guarded = replace(FREE, people=(Person(grounds=(VIP,)),))
    assert judge(guarded, Cover(frozenset({VIP.key}))) == Dispatch()


def test_a_block_cancels_what_was_asked_for_before_its_end() -> None:
    forever, past = Interval(T, None), Interval(T, T + HOUR)
    assert cancelled_until((), (forever,)) == FOREVER
    assert cancelled_until((), (past,)) == T + HOUR
    assert cancelled_until((past,), (past,)) is None
    assert cancelled_until((forever,), (past,)) == T + HOUR
    assert cancelled_until((past,), (past, Interval(T + 3 * HOUR, None))) == FOREVER
