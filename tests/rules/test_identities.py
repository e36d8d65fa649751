"""Contract 3.4: which identity an address is. The awkward numbers were checked with phonenumbers 9.0.43."""

from collections.abc import Iterator

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType

from workers.rules.identities import ResolvedIdentity, identify, is_national


def e164(text: str, region: str | None) -> str | None:
    return identify("sms", "", text, region).phone


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
        ("sms", "  MyBank ", None),
        ("sms", "5215541637145", None),
        ("sms", "015112345678", "UK"),  # no region that the numbering data knows
    ],
)
def test_what_is_no_number_is_kept_verbatim(channel: str, address: str, region: str | None) -> None:
    identity = identify(channel, "main", address, region)

    assert (identity.address, identity.lookup, identity.phone, identity.understood) == (address, address, None, False)


@pytest.mark.parametrize(
    ("channel", "address", "region"),
    [
        ("sms", "555-1234", "US"),
        ("sms", "5551234", "US"),
        ("sms", "683-4000", "US"),  # digit by digit a number of Niue
        ("sms", "98765-4321", "BR"),  # as long as a number can be there, but no line has one of that length
        ("sms", "3333-4444", "BR"),
        ("sms", "1234-5678", "JP"),
        ("sms", "0123 4567", "GB"),
        ("sms", "123 4567", "GB"),
        ("sms", "+441111", None),
        ("sms", "+15551234", "US"),
        ("sms", "00 1 555 1234", None),
        ("whatsapp", "15551234", None),
        ("whatsapp", "0 555-1234", "US"),
    ],
)
def test_a_number_that_can_be_dialled_in_its_area_only_is_kept_verbatim(
    channel: str, address: str, region: str | None
) -> None:
    assert identify(channel, "main", address, region) == ResolvedIdentity(
        channel, "", address, address, understood=False
    )
    assert e164(address, region) is None


def test_a_national_number_that_the_library_does_not_know_yet_is_a_number_if_it_is_as_long_as_one() -> None:
    assert e164("030 12", "DE") is None
    assert e164("(555) 555-1234", "US") == "+15555551234"
    assert e164("8001111", "GB") == "+448001111"  # a short one that it knows


@pytest.mark.parametrize(
    ("number", "country"),
    [
        ("+870773111632", None),
        ("+881612345678", None),
        ("+882393257001527", None),
        ("+883510001234567", None),
        ("+80012345678", None),
        ("+80812345678", None),
        ("+38349123456", "XK"),
        ("+18765551234", "JM"),
        ("+14155552671", "US"),
        ("+442079460958", "GB"),
        ("+441481960194", "GG"),
        ("+390612345678", "IT"),
        ("+390669812345", "VA"),
        ("+19995551234", None),
    ],
)
def test_the_country_is_the_numbers_own_or_none(number: str, country: str | None) -> None:
    for address in (number, f"tel:{number}", f"{number[:4]} {number[4:]}"):
        found = identify("sms", "main", address, "DE")
        assert (found.phone, found.country) == (number, country)


@pytest.mark.parametrize(
    ("channel", "address", "expected"),
    [
        ("sms", "0151 12345678", True),
        ("sms", "447911123456", True),
        ("sms", "tel:0151-12345678", True),
        ("whatsapp", "015112345678", True),
        ("whatsapp", "447911123456", False),
        ("whatsapp", "00447911123456", False),
        ("sms", "+447911123456", False),
        ("sms", "＋447911123456", False),
        ("sms", "00 44 7911 123456", False),
        ("sms", "12345", False),
        ("sms", "MyBank", False),
        ("sms", "030 1234567 ext 5", False),
        ("email", "015112345678", False),
        ("telegram", "015112345678", False),
    ],
)
def test_what_only_a_region_makes_a_number(channel: str, address: str, *, expected: bool) -> None:
    assert is_national(channel, address) is expected


@given(st.sampled_from(["whatsapp", "sms", "email"]), st.text(alphabet="0123456789+- a@.", max_size=16))
def test_the_region_matters_to_national_numbers_only(channel: str, address: str) -> None:
    if not is_national(channel, address):
        assert len({identify(channel, "main", address, region) for region in (None, "DE", "US", "BR")}) == 1


@pytest.mark.parametrize(("old", "new"), [("5215541637145", "525541637145"), ("551187654321", "5511987654321")])
def test_national_aliases_of_one_number_are_one_identity(old: str, new: str) -> None:
    first, second = (identify("whatsapp", "main", a, None) for a in (old, new))

    assert first.lookup == second.lookup
    assert first.understood
    assert second.understood


def test_argentinas_numbers_with_and_without_the_nine_stay_two() -> None:
    lookups = {identify("whatsapp", "main", a, None).lookup for a in ("5491123456789", "541123456789")}
    assert len(lookups) == 2


def test_a_mail_address_is_spelled_as_it_came_and_looked_up_in_another_form() -> None:
    assert identify("email", "main", " Ana.Souza@Bücher.DE ", None) == ResolvedIdentity(
        "email",
        "",
        "Ana.Souza@Bücher.DE",
        "ana.souza@xn--bcher-kva.de",
        understood=True,
        email="ana.souza@xn--bcher-kva.de",
    )


@pytest.mark.parametrize(
    "address", ["Nobody", '"Ana Test" <Ana.Test@Example.COM>', "   ", " a b@Example.com", "Ana@I❤.ws"]
)
def test_what_is_no_mail_address_is_kept_exactly_as_it_came(address: str) -> None:
    assert identify("email", "main", address, None) == ResolvedIdentity("email", "", address, address, understood=False)


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


def parsed(number: str) -> ResolvedIdentity | None:
    """What phonenumbers makes of an international number that it takes to be possible from anywhere."""
    try:
        found = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(found) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    phone = phonenumbers.format_number(found, PhoneNumberFormat.E164)
    region = phonenumbers.region_code_for_number(found)
    country = None if region == "001" else region
    return ResolvedIdentity("whatsapp", "", phone, phone, understood=True, phone=phone, country=country)


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
