"""Tags: the later of two commands holds, in any order."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from schemas import limits
from workers.rules.last_write_wins import WriteStamp
from workers.rules.results import Done, Refused
from workers.rules.tags import ABSENT, named, put

START = datetime(2026, 3, 1, tzinfo=UTC)


def stamp(minute: int, by: int = 1) -> WriteStamp:
    return WriteStamp(START + timedelta(minutes=minute), UUID(int=by))


def test_a_tag_has_one_form_but_keeps_its_capitals() -> None:
    assert named("  Cafe\u0301 ") == "Caf\u00e9"
    assert named("VIP") != named("vip")
    assert isinstance(named(" \u2003"), Refused)


def test_adding_and_removing_say_what_changed() -> None:
    added, tag = put(ABSENT, "vip", stamp(1), on=True, has=0)
    again, tag = put(tag, "vip", stamp(2), on=True, has=1)
    removed, tag = put(tag, "vip", stamp(3), on=False, has=1)

    assert [added, again, removed] == [Done({"tag": "vip"}), Done(), Done({"tag": "vip"})]
    assert put(tag, "vip", stamp(2), on=True, has=0) == (Done(), tag)


def test_a_contact_has_a_bounded_number_of_tags() -> None:
    refused, tag = put(ABSENT, "vip", stamp(1), on=True, has=limits.TAGS_PER_CONTACT)

    assert isinstance(refused, Refused)
    assert "200" in refused.detail
    assert tag == ABSENT
    _, there = put(ABSENT, "vip", stamp(1), on=True, has=0)
    assert put(there, "vip", stamp(2), on=True, has=limits.TAGS_PER_CONTACT)[0] == Done()


@given(st.dictionaries(st.builds(stamp, st.integers(0, 3), st.integers(1, 2)), st.booleans(), min_size=1, max_size=4))
def test_the_later_command_holds_in_whatever_order_they_arrive(given: dict[WriteStamp, bool]) -> None:
    for order in permutations(given):
        tag = ABSENT
        for at in order:
            _, tag = put(tag, "vip", at, on=given[at], has=int(tag.value))
        assert tag.value == given[max(given)]
