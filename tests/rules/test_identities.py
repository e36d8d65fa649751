"""Contract 3.4: which identity an address is. The awkward numbers were checked with phonenumbers 9.0.43."""

from collections.abc import Iterator

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType

from workers.rules.identities import Identity, e164, identify


@pytest.mark.parametrize(
    ("channel", "address", "region", "expected"),
    [
        ("whatsapp", "4915112345678", None, "+4915112345678"),
        ("whatsapp", "whatsapp:+1 (415) 555-2671", None, "+14155552671"),
        ("whatsapp", "0151 12345678", "DE", "+4915112345678"),
        ("whatsapp", "004915112345678", None, "+4915112345678"),
        ("sms", "0151 12345678", "DE", "+4915112345678"),
        ("sms", "00 49 151 12345678", None, "+4915112345678"),
        ("sms", "\u202a+4915112345678\u202c", None, "+4915112345678"),
        ("sms", "٠١٠٠١٢٣٤٥٦٧", "EG", "+201001234567"),
        ("sms", "(415) 555-2671", "US", "+14155552671"),
        ("sms", "+39 06 1234 5678", None, "+390612345678"),
    ],
)
def test_phone_numbers_become_e164(channel: str, address: str, region: str | None, expected: str) -> None:
    identity = identify(channel, "main", address, region)

    assert (identity.address, identity.phone, identity.understood) == (expected, expected, True)


@pytest.mark.parametrize(
    ("channel", "address", "region"),
    [
        ("sms", "12345", "US"),
        ("sms", "1-800-FLOWERS", "US"),
        ("sms", "+1-800-FLOWERS", None),
        ("sms", "MyBank", "DE"),
        ("sms", "+49 30 1234567 ext 5", "DE"),
        ("sms", "+49301234567;ext=5", "DE"),
        ("sms", "015112345678", None),
        ("sms", "447911123456", None),
        ("whatsapp", "015112345678", None),
        ("sms", "+112345", None),
        ("sms", "", "DE"),
    ],
)
def test_what_is_no_number_is_kept_verbatim(channel: str, address: str, region: str | None) -> None:
    identity = identify(channel, "main", address, region)

    assert (identity.address, identity.lookup, identity.phone, identity.understood) == (address, address, None, False)


@pytest.mark.parametrize(("old", "new"), [("5215541637145", "525541637145"), ("551187654321", "5511987654321")])
def test_national_aliases_of_one_number_are_one_identity(old: str, new: str) -> None:
    first, second = (identify("whatsapp", "main", a, None) for a in (old, new))

    assert first.lookup == second.lookup
    assert first.understood
    assert second.understood


def test_argentinas_numbers_with_and_without_the_nine_stay_two() -> None:
    lookups = {identify("whatsapp", "main", a, None).lookup for a in ("5491123456789", "541123456789")}
    assert len(lookups) == 2


def test_mail_addresses_are_case_folded_and_odd_ones_kept() -> None:
    assert identify("email", "main", " Ana.Souza@Example.COM ", None).address == "ana.souza@example.com"
    odd = identify("email", "main", "nobody", None)
    assert (odd.address, odd.email, odd.understood) == ("nobody", None, False)


def test_ids_that_mean_something_on_one_channel_only_are_kept_apart() -> None:
    assert identify("messenger", "page-1", "123", None).scope == "page-1"
    assert identify("telegram", "bot-1", "123", None).scope == ""


@given(st.sampled_from(["whatsapp", "sms", "email", "line"]), st.text(max_size=40), st.sampled_from([None, "DE", "US"]))
def test_no_address_makes_it_fail(channel: str, address: str, region: str | None) -> None:
    identity = identify(channel, "main", address, region)
    if identity.phone:
        assert e164(identity.phone, None) == identity.phone


def every_kind_of_number() -> Iterator[PhoneNumber]:
    kinds = [kind for kind in vars(PhoneNumberType).values() if isinstance(kind, int)]
    for region in phonenumbers.SUPPORTED_REGIONS:
        for kind in kinds:
            if (number := phonenumbers.example_number_for_type(region, kind)) is not None:
                yield number


def parsed(number: str) -> Identity | None:
    """What phonenumbers makes of an international number that it takes to be possible."""
    try:
        found = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(found):
        return None
    phone = phonenumbers.format_number(found, PhoneNumberFormat.E164)
    country = phonenumbers.region_code_for_number(found)
    return Identity("whatsapp", "", phone, phone, understood=True, phone=phone, country=country)


def test_a_number_in_the_form_in_which_it_is_kept_is_what_parsing_makes_of_it() -> None:
    numbers = {phonenumbers.format_number(number, PhoneNumberFormat.E164) for number in every_kind_of_number()}
    assert len(numbers) > 900
    for number in numbers:
        for address in (number, number + "1", number[:-1]):
            agrees_with_parsing("whatsapp", address)
        if len(number) > len("+123456"):  # without a plus that would be a short code
            agrees_with_parsing("whatsapp", number.removeprefix("+"))


@given(st.integers(min_value=1, max_value=10**15), st.sampled_from(["whatsapp", "sms"]))
def test_any_number_is_what_parsing_makes_of_it(digits: int, channel: str) -> None:
    agrees_with_parsing(channel, f"+{digits}")


@given(st.integers(min_value=10**6, max_value=10**15))
def test_any_whatsapp_id_is_what_parsing_makes_of_it_with_a_plus(digits: int) -> None:
    agrees_with_parsing("whatsapp", str(digits))


def agrees_with_parsing(channel: str, address: str) -> None:
    number = "+" + address.removeprefix("+")
    identity, whole = identify(channel, "main", address, None), parsed(number)
    if whole is None:  # what Mexico's mobiles once were is understood all the same
        assert not identity.understood or number.startswith("+521")
    elif number.startswith(("+52", "+55")):  # may be another number's alias
        assert identity._replace(lookup=whole.lookup) == whole._replace(channel=channel)
    else:
        assert identity == whole._replace(channel=channel)
