"""Active, inactive, unavailable: contract 4.5."""

from datetime import UTC, datetime

from workers.rules.channels import Known, Reachable, Unreachable, aim_at_address, aim_at_contact, state
from workers.rules.identities import identify

T = datetime(2026, 3, 1, 12, tzinfo=UTC)
PHONE = "+4915112345678"


def known(number: int, address: str, channel: str = "whatsapp", scope: str = "", *, wrote: bool = True) -> Known:
    return Known(number, channel, scope, address, address, T if wrote else None)


def test_only_three_kinds_can_be_written_to_first() -> None:
    assert [state(c, None) for c in ("whatsapp", "sms", "email", "telegram", "messenger")] == [
        "inactive",
        "inactive",
        "inactive",
        "unavailable",
        "unavailable",
    ]
    assert state("messenger", T) == "active"


def test_an_address_nobody_can_understand_is_bad() -> None:
    aim = aim_at_address(identify("sms", "s", "BANK", None), None)
    assert isinstance(aim, Unreachable)
    assert aim.obstacle == "bad_address"


def test_an_unknown_address_where_the_contact_must_write_first() -> None:
    aim = aim_at_address(identify("messenger", "m", "psid-1", None), None)
    assert isinstance(aim, Unreachable)
    assert aim.obstacle == "contact_must_initiate"


def test_a_contact_is_written_to_at_its_newest_address() -> None:
    aim = aim_at_contact("whatsapp", "w", [known(1, PHONE), known(2, "+4915100000000")], None, None)
    assert aim == Reachable("", "+4915100000000", "+4915100000000")


def test_a_short_code_does_not_hide_the_number() -> None:
    assert aim_at_contact("sms", "s", [known(1, PHONE, "sms"), known(2, "12345", "sms")], None, None) == Reachable(
        "", PHONE, PHONE
    )
    only = aim_at_contact("sms", "s", [known(2, "12345", "sms")], PHONE, None)
    assert isinstance(only, Unreachable)
    assert only.obstacle == "bad_address"


def test_on_account_bound_kinds_only_the_same_account_counts() -> None:
    other = [known(1, "psid", "messenger", "page-a")]
    assert aim_at_contact("messenger", "page-a", other, None, None) == Reachable("page-a", "psid", "psid")
    assert aim_at_contact("messenger", "page-b", other, None, None) == Unreachable("contact_must_initiate")


def test_an_address_that_never_wrote_does_not_open_a_kind_where_it_must() -> None:
    aim = aim_at_contact("messenger", "m", [known(1, "psid", "messenger", "m", wrote=False)], None, None)
    assert isinstance(aim, Unreachable)
    assert aim.obstacle == "contact_must_initiate"


def test_the_number_on_file_serves_where_there_is_no_identity() -> None:
    assert aim_at_contact("sms", "s", [known(1, PHONE)], PHONE, None) == Reachable("", PHONE, PHONE)
    assert aim_at_contact("email", "e", [], "Ana@Example.com", None) == Reachable(
        "", "ana@example.com", "ana@example.com"
    )
    assert aim_at_contact("telegram", "t", [], PHONE, None) == Unreachable("contact_must_initiate")
    assert aim_at_contact("sms", "s", [], None, None) == Unreachable("contact_must_initiate")
