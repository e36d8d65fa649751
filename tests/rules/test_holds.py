"""Which answer to a hold counts: contract 4.4."""

from datetime import UTC, datetime, timedelta

import pytest

from workers.rules.holds import RELEASED, Declined, Expired, HoldState, Open, Unchanged, confirming, rejecting

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def yes(status: str, *, actor: str = "bob", two_person: bool = False, expires_at: datetime = LATER) -> HoldState | str:
    return said(confirming(status, expires_at, NOW, requested_by="ann", actor=actor, two_person=two_person))


def no(status: str, expires_at: datetime = LATER) -> HoldState | str:
    return said(rejecting(status, expires_at, NOW))


def said(standing: HoldState) -> HoldState | str:
    return standing.reason if isinstance(standing, Declined) else standing


def test_a_hold_is_open_until_its_end_and_not_at_it() -> None:
    assert yes("held") == no("held") == Open()
    assert yes("held", expires_at=NOW) == no("held", NOW) == Expired()


@pytest.mark.parametrize("status", sorted(RELEASED))
def test_confirming_what_is_released_changes_nothing_and_rejecting_it_is_too_late(status: str) -> None:
    assert yes(status) == Unchanged()
    assert no(status) == "already_final"


@pytest.mark.parametrize("status", ["refused", "rejected", "expired", "cancelled"])
def test_what_is_final_stays(status: str) -> None:
    assert yes(status) == no(status) == "already_final"


def test_who_asked_may_take_it_back_but_not_confirm_it_where_two_are_needed() -> None:
    assert yes("held", actor="ann") == Open()
    assert yes("held", actor="ann", two_person=True) == "needs_second_person"
    assert yes("held", actor="bob", two_person=True) == Open()
    assert yes("rejected", actor="ann", two_person=True) == "already_final"
