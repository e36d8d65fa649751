"""Contract 3.4: the lookup form and the spelling of e-mail addresses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import limits
from workers.rules.mail import parse_address


def lookup(address: str) -> str | None:
    found = parse_address(address)
    return None if found is None else found.lookup


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("Ana.Souza@Example.COM", "ana.souza@example.com"),
        ("\t Ben@Example.com \n", "ben@example.com"),
        ("Eva@faß.example", "eva@xn--fa-hia.example"),
        ("eva@FAẞ.example", "eva@xn--fa-hia.example"),
        ("eva@xn--fa-hia.example", "eva@xn--fa-hia.example"),
        ("eva@XN--FA-HIA.Example", "eva@xn--fa-hia.example"),
        ("eva@fass.example", "eva@fass.example"),
        ("info@BÜCHER.de", "info@xn--bcher-kva.de"),
        ("info@bu\u0308cher.de", "info@xn--bcher-kva.de"),
        ("太郎@例え。テスト", "太郎@xn--r8jz45g.xn--zckzah"),
        ("ana@ｅｘａｍｐｌｅ.com", "ana@example.com"),
        ("ana@example.com.", "ana@example.com"),
        ("ana@bücher.de.", "ana@xn--bcher-kva.de"),
        ("ana@localhost", "ana@localhost"),
        ("ana@mail_1.example.com", "ana@mail_1.example.com"),
        ("root@[192.0.2.1]", "root@[192.0.2.1]"),
        ("root@[IPv6:2001:DB8::1]", "root@[ipv6:2001:db8::1]"),
        ("José@example.com", "josé@example.com"),
        ("Jose\u0301@example.com", "josé@example.com"),
        (".foo..bar.@docomo.ne.jp", ".foo..bar.@docomo.ne.jp"),
    ],
)
def test_it_is_looked_up_in_lower_case_with_its_domain_as_the_dns_holds_it(address: str, expected: str) -> None:
    assert lookup(address) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("eva@faß.example", "eva@fass.example"),
        ("groß@example.com", "gross@example.com"),
        ("ana@σας.gr", "ana@σασ.gr"),
        ("ﬁona@example.com", "fiona@example.com"),
        ("ana+news@example.com", "ana@example.com"),
        ("ana.souza@example.com", "anasouza@example.com"),
        ("аna@example.com", "ana@example.com"),  # the first letter is Cyrillic
        ("ana@нameh.example", "ana@hameh.example"),
        ("ana@نامه\u200cای.example", "ana@نامهای.example"),  # IDNA takes this joiner for a part of the name
    ],
)
def test_other_letters_are_other_addresses(one: str, other: str) -> None:
    assert None not in (lookup(one), lookup(other))
    assert lookup(one) != lookup(other)


@pytest.mark.parametrize(
    "address",
    [
        "\u202aana@example.com\u202c",
        "\ufeffana@example.com",
        "a\u200bna@exa\u200bmple.com",
        "an\u00ada@example.com",
        "ana\u2060@example.com",
        "ana\ufe0f@example.com",
        "a\u200cna@example.com",
        "ana@exam\u200dple.com",
        "ana@example.com\u200d",
        "ana@example.com\U000e0041",
    ],
)
def test_invisible_characters_make_no_other_address_and_are_not_sent(address: str) -> None:
    assert parse_address(address) == ("ana@example.com", "ana@example.com")


def test_quotes_that_nothing_needs_make_no_other_address() -> None:
    assert lookup('"John"@example.com') == lookup(r'"j\ohn"@example.com') == "john@example.com"
    assert lookup('"John Doe"@Example.com') == '"john doe"@example.com'
    assert lookup('"j@d"@example.com') == '"j@d"@example.com'
    assert lookup(r'"j\"d\\"@example.com') == r'"j\"d\\"@example.com'


@pytest.mark.parametrize("address", ["Ana.Test+News@Example.COM", "Eva@FAß.example", '"John Doe"@Example.com'])
def test_its_spelling_is_kept_for_sending(address: str) -> None:
    found = parse_address(f" {address}\u200b ")

    assert found is not None
    assert found.spelling == address


@pytest.mark.parametrize(
    "address",
    [
        "nobody",
        "",
        "   ",
        "\u200b",
        "@",
        "@example.com",
        "ana@",
        "ana@@example.com",
        "a@b@example.com",
        "ana smith@example.com",
        "ana\n@example.com",
        "ana@exam ple.com",
        "ana@example..com",
        "ana@.",
        "ana@i❤.example",
        "ana@-bücher.example",
        "ana@" + "ä" * 64 + ".example",
        "ana＠example.com",
        '"Ana Test" <Ana.Test@Example.COM>',
        "Ana <ana@example.com>",
        "<ana@example.com>",
        "mailto:ana@example.com",
        "ana@example.com, ben@example.com",
        "ana@example.com (Ana)",
        'unfinished"@example.com',
        "\U0001d160" * 120 + "@example.com",  # three characters each once it is composed
    ],
)
def test_what_is_no_single_address_is_not_understood(address: str) -> None:
    assert parse_address(address) is None


PIECES = st.sampled_from(
    [*'aZß.@"\\ <>[]-_+éΣσς1İẞ❤。', "\u0301", "\u200b", "\u200d", "مه", "xn--", "example"],
)


@given(st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=12).map("".join)))
def test_a_lookup_form_and_a_spelling_are_understood_as_the_same_address(address: str) -> None:
    found = parse_address(address)
    if found is not None:
        assert len(found.lookup) <= limits.ADDRESS
        assert parse_address(found.lookup) == (found.lookup, found.lookup)
        assert parse_address(found.spelling) == found
