"""Customers: the effect of each command on a book."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import permutations
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.profile_commands import (
    CreateProfile,
    DefineCompany,
    DefineStatus,
    DetachContact,
    ProfileCommand,
    ProtectCompany,
    SetProfileCompanies,
    SetProfileStatus,
    UnprotectCompany,
)
from tests.rules.customers import ANNA, START, attach, book_with_anna, carry_out, head, said
from workers.rules.last_write_wins import WriteStamp
from workers.rules.profile_book import ProfileBook, name_key
from workers.rules.profiles import decide, made_id
from workers.rules.results import Done


def test_create_always_makes_a_new_profile() -> None:
    book = ProfileBook()
    first, second = carry_out(book, CreateProfile(**head(1), name="Ada"), CreateProfile(**head(2), name="Ada"))

    assert isinstance(first, Done)
    assert isinstance(second, Done)
    assert first.changed["profile_id"] != second.changed["profile_id"]
    assert len(book.profiles) == 2


def test_an_id_that_is_taken_is_refused() -> None:
    taken = [CreateProfile(**head(n), profile_id="p-1", name="Ada") for n in (1, 2)]
    assert carry_out(ProfileBook(), *taken) == [Done({"profile_id": "p-1"}), "invalid"]


def test_a_profile_needs_a_name_that_can_be_seen() -> None:
    book = book_with_anna()
    assert carry_out(book, CreateProfile(**head(1), name=" \t"), attach(2, profile_name="  ")) == [
        "invalid",
        "invalid",
    ]


@pytest.mark.parametrize("spelled", ["Müller AG", "  müller ag ", "MU\u0308LLER AG"])
def test_names_are_compared_trimmed_composed_and_folded(spelled: str) -> None:
    assert name_key(spelled) == name_key("Müller AG")


@given(st.text(max_size=20))
def test_the_key_of_a_key_is_itself(name: str) -> None:
    assert name_key(name_key(name)) == name_key(name)


def test_attaching_to_an_unknown_name_makes_the_profile() -> None:
    book = book_with_anna()
    command = attach(1, profile_name=" Ada ")
    profile_id = made_id(command)

    assert carry_out(book, command) == [Done({"profile_id": profile_id, "profile_created": True})]
    assert book.profiles["acme", profile_id].name.value == "Ada"
    assert book.memberships[ANNA].value == profile_id


def test_attaching_to_a_known_name_takes_the_profile_there_is() -> None:
    book = book_with_anna()
    results = carry_out(book, CreateProfile(**head(1), profile_id="p-1", name="Ada"), attach(2, profile_name="ADA"))
    assert results[1] == Done({"profile_id": "p-1", "profile_created": False})


def test_attaching_to_a_name_that_several_have_is_refused() -> None:
    book = book_with_anna()
    twins = [CreateProfile(**head(n), name="Ada") for n in (1, 2)]
    assert carry_out(book, *twins, attach(3, profile_name="Ada"))[2] == "invalid"


def test_a_contact_of_another_profile_moves() -> None:
    book = book_with_anna()
    results = carry_out(book, attach(1, profile_name="Ada"), attach(2, profile_name="Bob"))
    assert isinstance(results[1], Done)
    assert book.memberships[ANNA].value == results[1].changed["profile_id"]


def test_attaching_twice_changes_nothing_the_second_time() -> None:
    assert carry_out(book_with_anna(), attach(1, profile_name="Ada"), attach(2, profile_name="Ada"))[1] == Done()


def test_detaching_leaves_no_profile() -> None:
    book = book_with_anna()
    results = carry_out(
        book,
        attach(1, profile_name="Ada"),
        DetachContact(**head(2), contact_id=ANNA[1]),
        DetachContact(**head(3), contact_id=ANNA[1]),
    )
    assert results[1:] == [Done({"profile_id": None}), Done()]
    assert book.memberships[ANNA].value is None


def test_an_older_attachment_by_name_that_arrives_late_makes_no_profile() -> None:
    book = book_with_anna()
    assert carry_out(book, DetachContact(**head(5), contact_id=ANNA[1]), attach(1, profile_name="Ada"))[1] == Done()
    assert book.profiles == {}


def test_the_membership_is_the_latest_in_whatever_order_the_commands_arrive() -> None:
    commands: Sequence[ProfileCommand] = [
        attach(1, profile_id="p-1"),
        attach(2, profile_id="p-2"),
        DetachContact(**head(3), contact_id=ANNA[1]),
        attach(4, profile_id="p-1"),
    ]
    profiles = [CreateProfile(**head(0, n), profile_id=f"p-{n}", name="Ada") for n in (1, 2)]
    for order in permutations(commands):
        book = book_with_anna()
        carry_out(book, *profiles, *order)
        assert book.memberships[ANNA].value == "p-1"


def test_what_is_not_there_is_not_found() -> None:
    commands: list[ProfileCommand] = [
        attach(1, profile_id="p-9"),
        SetProfileStatus(**head(1), profile_id="p-9", status=None),
        SetProfileCompanies(**head(1), profile_id="p-9", company_ids=()),
        ProtectCompany(**head(1), company_id="c-9"),
        UnprotectCompany(**head(1), company_id="c-9"),
    ]
    assert carry_out(book_with_anna(), *commands) == ["not_found"] * 5


def test_a_target_that_is_not_there_is_not_found() -> None:
    stamp = WriteStamp(START, UUID(int=5))
    assert said(decide(ProfileBook(), attach(1, profile_name="Ada"), stamp, None)) == "not_found"
    assert said(decide(ProfileBook(), DetachContact(**head(1), contact_id=ANNA[1]), stamp, None)) == "not_found"


def test_an_unknown_status_or_company_is_refused() -> None:
    book = ProfileBook()
    commands: list[ProfileCommand] = [
        CreateProfile(**head(1), profile_id="p-1", name="Ada"),
        DefineCompany(**head(1), company_id="c-1", name="Lovelace Ltd"),
        SetProfileStatus(**head(2), profile_id="p-1", status="vip"),
        SetProfileCompanies(**head(2), profile_id="p-1", company_ids=("c-1", "c-2")),
    ]
    assert carry_out(book, *commands)[2:] == ["not_found", "not_found"]
    assert book.profiles["acme", "p-1"].companies.value == {}


def test_a_status_is_set_and_taken_away() -> None:
    commands: list[ProfileCommand] = [
        DefineStatus(**head(1), name="vip", protected=True),
        CreateProfile(**head(1), profile_id="p-1", name="Ada"),
        SetProfileStatus(**head(2), profile_id="p-1", status="vip"),
        SetProfileStatus(**head(3), profile_id="p-1", status="vip"),
        SetProfileStatus(**head(4), profile_id="p-1", status=None),
        SetProfileStatus(**head(3, 77), profile_id="p-1", status="vip"),
    ]
    assert carry_out(ProfileBook(), *commands)[2:] == [Done({"status": "vip"}), Done(), Done({"status": None}), Done()]


def test_a_status_defined_again_is_updated() -> None:
    book = ProfileBook()
    commands = [DefineStatus(**head(n), name="vip", protected=on) for n, on in ((1, False), (3, True), (2, False))]
    assert carry_out(book, *commands) == [
        Done({"name": "vip", "protected": False}),
        Done({"protected": True}),
        Done(),
    ]
    assert book.statuses["acme", "vip"].since == START + timedelta(minutes=3)


def test_a_company_is_named_protected_and_freed_independently() -> None:
    book = ProfileBook()
    commands: list[ProfileCommand] = [
        DefineCompany(**head(1), company_id="c-1", name="Lovelace"),
        ProtectCompany(**head(5), company_id="c-1"),
        DefineCompany(**head(2), company_id="c-1", name="Lovelace Ltd"),
        UnprotectCompany(**head(4), company_id="c-1"),
        ProtectCompany(**head(6), company_id="c-1"),
        UnprotectCompany(**head(7), company_id="c-1"),
    ]
    assert carry_out(book, *commands) == [
        Done({"company_id": "c-1", "name": "Lovelace"}),
        Done({"protected": True}),
        Done({"name": "Lovelace Ltd"}),
        Done(),
        Done(),
        Done({"protected": False}),
    ]


def test_who_stays_in_a_company_belongs_to_it_since_the_first_time() -> None:
    book = ProfileBook()
    commands: list[ProfileCommand] = [
        *(DefineCompany(**head(0, n), company_id=f"c-{n}", name="Any") for n in (1, 2)),
        CreateProfile(**head(1), profile_id="p-1", name="Ada"),
        SetProfileCompanies(**head(2), profile_id="p-1", company_ids=("c-1",)),
        SetProfileCompanies(**head(3), profile_id="p-1", company_ids=("c-2", "c-1", "c-2")),
        SetProfileCompanies(**head(4), profile_id="p-1", company_ids=("c-1", "c-2")),
    ]
    assert carry_out(book, *commands)[3:] == [
        Done({"company_ids": ["c-1"]}),
        Done({"company_ids": ["c-1", "c-2"]}),
        Done(),
    ]
    assert book.profiles["acme", "p-1"].companies.value == {
        "c-1": START + timedelta(minutes=2),
        "c-2": START + timedelta(minutes=3),
    }
