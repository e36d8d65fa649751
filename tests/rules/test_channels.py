"""Active, inactive, unavailable: contract 4.5."""

from datetime import UTC, datetime

import pytest

from workers.rules.channels import (
    Aim,
    Known,
    Nowhere,
    Obstacle,
    SendTarget,
    aim_at_address,
    aim_at_contact,
    obstacle,
    state,
)
from workers.rules.identities import identify

T = datetime(2026, 3, 1, 12, tzinfo=UTC)
PHONE = "+4915112345678"


def known(number: int, address: str, channel: str = "whatsapp", scope: str = "", *, wrote: bool = True) -> Known:
    return Known(number, channel, scope, address, address, T if wrote else None)


def reached(aim: Aim) -> str | None:
    return aim.address if isinstance(aim, SendTarget) else None


def test_only_three_kinds_can_be_written_to_first() -> None:
    channels = "whatsapp", "sms", "email", "telegram", "messenger"
    assert [state(c, None, understood=True) for c in channels] == ["inactive"] * 3 + ["unavailable"] * 2
    assert state("messenger", T, understood=True) == "active"


def test_what_nobody_understands_must_write_first() -> None:
    assert state("whatsapp", None, understood=False) == "unavailable"
    assert state("whatsapp", T, understood=False) == "active"


@pytest.mark.parametrize(
    ("channel", "address", "typed", "heard"),
    [
        ("whatsapp", PHONE, None, None),
        ("whatsapp", "22507123456", "bad_address", None),
        ("whatsapp", "+22507123456", "bad_address", None),
        ("whatsapp", "US.13491208655302741918", "bad_address", None),
        ("sms", "12345", "bad_address", None),
        ("sms", "tel:12345", "bad_address", None),
        ("sms", "12345\u200e", "bad_address", None),
        ("sms", "١٢٣٤٥", "bad_address", None),
        ("sms", "555-1234", "bad_address", None),
        ("sms", "BANK", "bad_address", "bad_address"),
        ("sms", "sms:Bank24", "bad_address", "bad_address"),
        ("sms", "БАНК", "bad_address", "bad_address"),
        ("whatsapp", "BANK", "bad_address", None),
        ("email", "Ana <ana@example.com>", "bad_address", None),
        ("messenger", "psid-1", "contact_must_initiate", None),
        ("telegram", "ana", "contact_must_initiate", None),
    ],
)
def test_what_wrote_can_be_answered_whatever_its_shape(
    channel: str, address: str, typed: Obstacle | None, heard: Obstacle | None
) -> None:
    aim = aim_at_address(identify(channel, "main", address, None))
    assert (obstacle(channel, aim, None), obstacle(channel, aim, T)) == (typed, heard)


def test_an_answer_goes_to_the_spelling_that_was_heard() -> None:
    typed = identify("whatsapp", "w", "+525512345678", None)
    assert aim_at_address(typed, "5215512345678").address == "5215512345678"
    assert aim_at_address(typed).address == "+525512345678"


def test_a_contact_is_written_to_at_its_newest_address() -> None:
    aim = aim_at_contact("whatsapp", "w", [known(1, PHONE), known(2, "+4915100000000")], None, None)
    assert aim == SendTarget("", "+4915100000000", "+4915100000000", understood=True)


def test_a_contact_is_answered_where_it_wrote() -> None:
    old = known(1, "22507123456")
    assert reached(aim_at_contact("whatsapp", "w", [old], PHONE, None)) == "22507123456"
    assert reached(aim_at_contact("whatsapp", "w", [old, known(2, PHONE, wrote=False)], None, None)) == "22507123456"
    silent = known(1, "22507123456", wrote=False)
    assert reached(aim_at_contact("whatsapp", "w", [known(0, PHONE, wrote=False), silent], None, None)) == PHONE


def test_a_short_code_does_not_hide_the_number() -> None:
    assert reached(aim_at_contact("sms", "s", [known(1, PHONE, "sms"), known(2, "12345", "sms")], None, None)) == PHONE
    assert reached(aim_at_contact("sms", "s", [known(2, "12345", "sms")], PHONE, None)) == "12345"
    assert (
        reached(aim_at_contact("sms", "s", [known(1, "12345", "sms"), known(2, "BANK", "sms")], None, None)) == "12345"
    )


def test_on_account_bound_kinds_only_the_same_account_counts() -> None:
    other = [known(1, "psid", "messenger", "page-a")]
    assert reached(aim_at_contact("messenger", "page-a", other, None, None)) == "psid"
    assert aim_at_contact("messenger", "page-b", other, None, None) == Nowhere("contact_must_initiate")


def test_an_address_that_never_wrote_does_not_open_a_kind_where_it_must() -> None:
    aim = aim_at_contact("messenger", "m", [known(1, "psid", "messenger", "m", wrote=False)], None, None)
    assert obstacle("messenger", aim, None) == "contact_must_initiate"


def test_the_number_on_file_serves_where_there_is_no_identity() -> None:
    assert reached(aim_at_contact("sms", "s", [known(1, PHONE)], PHONE, None)) == PHONE
    assert aim_at_contact("email", "e", [], "Ana@Example.com", None) == SendTarget(
        "", "ana@example.com", "Ana@Example.com", understood=True
    )
    assert aim_at_contact("telegram", "t", [], PHONE, None) == Nowhere("contact_must_initiate")
    assert aim_at_contact("sms", "s", [], None, None) == Nowhere("contact_must_initiate")
