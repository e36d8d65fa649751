"""Profiles: renamed, their fields written, deleted; in whatever order the commands arrive."""

from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import limits
from schemas.profile_commands import (
    AddNote,
    CreateProfile,
    DeleteProfile,
    DetachContact,
    ProfileCommand,
    SetProfileCompanies,
    SetProfileStatus,
    UpdateProfile,
)
from tests.rules.customers import ANNA, attach, book_with_anna, carry_out, head
from workers.rules.last_write_wins import LastWrite, WriteStamp
from workers.rules.profile_book import ProfileBook
from workers.rules.profiles import decide
from workers.rules.results import Done

P1 = ("acme", "p-1")


def create(minute: int = 0, profile_id: str = "p-1", /, **fields: Any) -> CreateProfile:
    return CreateProfile(**head(minute), profile_id=profile_id, name="Ada", fields=fields or None)


def update(minute: int, number: int | None = None, /, **given: Any) -> UpdateProfile:
    return UpdateProfile(
        **head(minute, number), profile_id="p-1", set={k.replace("_", "."): v for k, v in given.items()}
    )


def delete(minute: int, profile_id: str = "p-1") -> DeleteProfile:
    return DeleteProfile(**head(minute, 500 + minute), profile_id=profile_id)


def test_an_update_writes_the_name_and_the_fields_it_names_and_no_others() -> None:
    book = ProfileBook()
    results = carry_out(book, create(tier="gold", size=3), update(1, name="Ada Ltd", custom_tier="silver"))

    assert results[1] == Done({"fields": ["custom.tier", "name"]})
    profile = book.profiles[P1]
    assert profile.name.value == "Ada Ltd"
    assert {name: one.value for name, one in profile.fields.items()} == {"tier": "silver", "size": 3}


def test_what_changed_is_told_without_its_content() -> None:
    [_, result] = carry_out(ProfileBook(), create(), update(1, name="Secret", custom_tier="secret"))
    assert "ecret" not in str(result)


@pytest.mark.parametrize("name", [" ", " \t"])
def test_a_name_that_cannot_be_seen_refuses_the_whole_command(name: str) -> None:
    book = ProfileBook()
    assert carry_out(book, create(), update(1, name=name, custom_tier="silver"))[1] == "invalid"
    assert book.profiles[P1].fields == {}


def test_an_update_that_changes_nothing_still_wins_against_an_older_one() -> None:
    book = ProfileBook()
    results = carry_out(book, create(tier="gold"), update(5, custom_tier="gold"), update(3, custom_tier="silver"))
    assert results[1:] == [Done(), Done()]
    assert book.profiles[P1].fields["tier"].value == "gold"


def test_null_clears_a_field_also_against_an_older_write_that_comes_later() -> None:
    book = ProfileBook()
    commands = (create(), update(3, custom_tier="gold"), update(5, custom_tier=None), update(4, custom_tier="silver"))
    assert carry_out(book, *commands)[2:] == [Done({"fields": ["custom.tier"]}), Done()]
    assert book.profiles[P1].fields["tier"].value is None


writes = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.dictionaries(
            st.sampled_from(["name", "custom_a", "custom_b"]), st.sampled_from(["x", "y", "z"]), min_size=1
        ),
    ),
    min_size=1,
    max_size=4,
)


@given(writes)
def test_each_value_is_that_of_its_latest_write_in_whatever_order_they_arrive(
    written: list[tuple[int, dict[str, str]]],
) -> None:
    commands = [update(minute, number, **values) for number, (minute, values) in enumerate(written)]
    states = set()
    for order in permutations(commands):
        book = ProfileBook()
        carry_out(book, create(), *order)
        profile = book.profiles[P1]
        states.add((profile.name, tuple(sorted(profile.fields.items()))))
    assert len(states) == 1


def test_a_renamed_profile_is_attached_to_by_its_new_name_alone() -> None:
    book = book_with_anna()
    commands: list[ProfileCommand] = [
        create(),
        update(1, name="Babbage"),
        attach(2, profile_name="BABBAGE"),
        attach(3, profile_name="Ada"),
    ]
    results = carry_out(book, *commands)
    assert results[2] == Done({"profile_id": "p-1", "profile_created": False})
    assert isinstance(results[3], Done)
    assert results[3].changed["profile_created"] is True


def test_more_fields_than_a_profile_may_have_are_refused() -> None:
    many = {f"f{n}": n for n in range(limits.FIELDS_PER_PROFILE)}
    book = ProfileBook()
    results = carry_out(
        book,
        create(0, "p-2", **many, extra=1),
        create(0, **many),
        update(1, custom_extra=1),
        update(2, custom_f0=None, custom_extra=1),
    )
    assert results[0] == "invalid"
    assert results[2] == "invalid"
    assert results[3] == Done({"fields": ["custom.extra", "custom.f0"]})


def test_more_bytes_of_fields_than_a_profile_may_have_are_refused() -> None:
    half = "x" * (limits.CUSTOM_BYTES // 2)
    book = ProfileBook()
    assert carry_out(book, create(a=half), update(1, custom_b=half), create(0, "p-2", a=half, b=half)) == [
        Done({"profile_id": "p-1"}),
        "invalid",
        "invalid",
    ]
    assert book.profiles[P1].fields.keys() == {"a"}


def test_a_field_that_is_given_as_null_when_a_profile_is_made_is_none() -> None:
    book = ProfileBook()
    carry_out(book, create(tier=None))
    assert book.profiles[P1].fields == {}


def test_deleting_detaches_the_contacts_and_keeps_nothing_that_says_who_it_was() -> None:
    book = book_with_anna()
    results = carry_out(book, create(tier="gold"), attach(1, profile_id="p-1"), delete(2))

    assert results[2] == Done({"profile_id": "p-1", "contacts_detached": 1})
    assert book.memberships[ANNA].value is None
    assert book.profile(P1) is None
    assert (book.profiles[P1].name.value, book.profiles[P1].fields) == ("", {})


def test_deleting_again_changes_nothing_and_an_unknown_profile_is_not_found() -> None:
    assert carry_out(ProfileBook(), create(), delete(2), delete(3), delete(4, "p-9"))[2:] == [Done(), "not_found"]


@pytest.mark.parametrize("minute", [1, 9])
def test_a_deleted_profile_stays_deleted_for_older_writes_and_for_later_ones(minute: int) -> None:
    later: list[ProfileCommand] = [
        update(minute, name="Back"),
        SetProfileStatus(**head(minute), profile_id="p-1", status=None),
        SetProfileCompanies(**head(minute), profile_id="p-1", company_ids=()),
        AddNote(**head(minute), profile_id="p-1", text="Hello"),
        attach(minute, profile_id="p-1"),
    ]
    book = book_with_anna()
    results = carry_out(book, create(), delete(5), *later, create(minute))
    assert results[2:] == ["not_found"] * 5 + ["invalid"]
    assert book.profile(P1) is None


def test_the_name_of_a_deleted_profile_is_free() -> None:
    [*_, result] = carry_out(book_with_anna(), create(), delete(2), attach(3, profile_name="Ada"))
    assert isinstance(result, Done)
    assert result.changed["profile_created"] is True


def test_an_attachment_to_another_profile_wins_if_it_was_issued_after_the_one_that_the_deletion_ended() -> None:
    for minute, expected in ((3, "p-2"), (1, None)):
        book = book_with_anna()
        commands = (
            create(),
            create(0, "p-2"),
            attach(2, profile_id="p-1"),
            delete(5),
            attach(minute, profile_id="p-2"),
        )
        carry_out(book, *commands)
        assert book.memberships[ANNA].value == expected


def test_an_attachment_issued_after_the_deletion_that_ends_it_counts_as_one_at_the_deletion() -> None:
    book = book_with_anna()
    commands = (create(), create(0, "p-2"), attach(8, profile_id="p-1"), delete(5), attach(6, profile_id="p-2"))
    assert carry_out(book, *commands)[4] == Done({"profile_id": "p-2", "profile_created": False})


def test_a_full_profile_takes_no_further_contact_until_one_leaves() -> None:
    bob = ("acme", UUID(int=2))
    book = ProfileBook(memberships={ANNA: LastWrite("p-1"), bob: LastWrite(None)})
    carry_out(book, create())
    book.contacts[P1] = limits.CONTACTS_PER_PROFILE

    def to_bob(minute: int) -> object:
        command = attach(minute, profile_id="p-1")
        return decide(book, command, WriteStamp(command.issued_at, command.command_id), bob)

    assert getattr(to_bob(1), "reason", None) == "invalid"
    carry_out(book, DetachContact(**head(2), contact_id=ANNA[1]))
    assert to_bob(3) == Done({"profile_id": "p-1", "profile_created": False})


def test_who_belongs_to_a_full_profile_may_be_attached_to_it_again() -> None:
    book = ProfileBook(memberships={ANNA: LastWrite("p-1")})
    carry_out(book, create())
    book.contacts[P1] = limits.CONTACTS_PER_PROFILE
    assert carry_out(book, attach(1, profile_id="p-1")) == [Done()]
