"""What a confirmation covers."""

from datetime import UTC, datetime, timedelta

from workers.rules.protection import UNKNOWN, Cover, Ground, codes, keys, uncovered, with_confirmed

T = datetime(2026, 3, 1, 12, tzinfo=UTC)
VIP = Ground("status_protected", "status_protected:VIP", T)
ACME = Ground("company_protected", "company_protected:acme", T)
BOLT = Ground("company_protected", "company_protected:bolt", T)
UNREADABLE = Ground(UNKNOWN, UNKNOWN, None)


def test_codes_are_shown_sorted_and_once() -> None:
    assert codes([VIP, BOLT, ACME]) == ("company_protected", "status_protected")
    assert keys([VIP, BOLT, ACME, ACME]) == (ACME.key, BOLT.key, VIP.key)


def test_a_second_company_is_a_new_reason_after_the_first_was_confirmed() -> None:
    cover = with_confirmed(Cover(), [ACME.key])
    assert uncovered([ACME], cover) == ()
    assert uncovered([ACME, BOLT], cover) == (BOLT,)


def test_confirmations_add_up() -> None:
    assert uncovered([ACME, BOLT], with_confirmed(with_confirmed(Cover(), [ACME.key]), [BOLT.key])) == ()


def test_an_answer_given_with_the_request_covers_only_what_began_before_it() -> None:
    assert uncovered([VIP], Cover(before=T + timedelta(seconds=1))) == ()
    assert uncovered([VIP], Cover(before=T)) == (VIP,)
    assert uncovered([VIP], Cover(before=T - timedelta(seconds=1))) == (VIP,)


def test_no_time_covers_what_could_not_be_read_only_a_person_who_saw_it() -> None:
    assert uncovered([UNREADABLE], Cover(before=T)) == (UNREADABLE,)
    assert uncovered([UNREADABLE], with_confirmed(Cover(), [UNKNOWN])) == ()


def test_a_ground_of_two_people_is_one_and_both_must_be_covered() -> None:
    later = Ground(VIP.code, VIP.key, T + timedelta(hours=1))
    assert uncovered([VIP, later], Cover()) == (VIP,) or uncovered([VIP, later], Cover()) == (later,)
    assert uncovered([VIP, later], Cover(before=T + timedelta(minutes=1))) == (later,)
