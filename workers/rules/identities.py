"""One address, one identity: E.164 for phone numbers, and which addresses must not become one (contract 3.4).

This file depends on these facts about `phonenumbers` (checked with 9.0.43): it maps letters to digits, E.164 formatting
drops an extension, a short code formats as an impossible international number, and a number that can be dialled only
inside its area is called possible. So letters and extensions are refused before parsing, and a parsed number must be
possible from anywhere.
"""

import re
import unicodedata
from functools import cache
from typing import Final, NamedTuple

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat, PhoneNumberType, ValidationResult

from workers.rules import mail

WORKSPACE_WIDE: Final = frozenset({"whatsapp", "sms", "email", "telegram"})
PHONE_TYPE: Final = frozenset({"whatsapp", "sms"})
REACHABLE_UNASKED: Final = frozenset({"whatsapp", "sms", "email"})  # the contact need not have written first

_SCHEMES: Final = ("whatsapp:", "tel:", "sms:")
_LETTER_OR_EXTENSION: Final = re.compile(r"[^\W\d_]|[#;,]")
_SHORT_CODE_DIGITS: Final = 6
_CODES: Final = "|".join(map(str, sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE, reverse=True)))
_KEPT_FORM: Final = re.compile(rf"\+({_CODES})([1-9][0-9]{{4,12}})")


class ResolvedIdentity(NamedTuple):
    """`lookup` is what identities are compared by; `address` is its spelling, and the target of sends.

    The two differ only for e-mail addresses and for national aliases of a number.
    """

    channel: str
    scope: str  # '' if the address has the same owner on every channel of its kind, else the channel_id
    address: str
    lookup: str
    understood: bool  # False: stored as it came, with a warning; sends to it are refused
    phone: str | None = None
    email: str | None = None
    country: str | None = None


def scope_of(channel: str, channel_id: str) -> str:
    return "" if channel in WORKSPACE_WIDE else channel_id


def identify(channel: str, channel_id: str, address: str, region: str | None) -> ResolvedIdentity:
    """The identity of an address as a channel delivers it. Never raises: an address that cannot be parsed is kept as it
    is.
    """
    scope = scope_of(channel, channel_id)
    if channel in PHONE_TYPE:
        return _in_stored_form(channel, address) or _phone(channel, address, region)
    if channel == "email":
        found = mail.parse_address(address)
        if found is None:
            return _verbatim(channel, address)
        return ResolvedIdentity(channel, scope, *found, understood=True, email=found.lookup)
    return ResolvedIdentity(channel, scope, address, address, understood=True)


def is_national(channel: str, address: str) -> bool:
    """Whether the number depends on a region."""
    dialled = _dialled(channel, address) if channel in PHONE_TYPE else None
    return dialled is not None and not dialled.international


def _in_stored_form(channel: str, address: str) -> ResolvedIdentity | None:
    """A number in stored form, or a WhatsApp id; None for all others.

    Most addresses have this form, and parsing takes ten times as long for the same number.
    """
    number = "+" + address if channel == "whatsapp" and not address.startswith("+") else address
    parts = _KEPT_FORM.fullmatch(number)
    if parts is None or _alias(number) != number:
        return None
    code, rest = parts[1], parts[2]
    dialled = _national_prefix(code)
    if (dialled is not None and dialled.match(rest)) or not _is_possible(code, len(rest)):
        return None
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[int(code)]
    country = _country(regions[0] if len(regions) == 1 else _region(_number(code, rest)))
    return ResolvedIdentity(channel, "", number, number, understood=True, phone=number, country=country)


@cache
def _is_possible(country_code: str, digits: int) -> bool:
    # Without a parser the length decides whether a number is possible.
    return _from_anywhere(_number(country_code, "1" * digits))


def _from_anywhere(number: PhoneNumber) -> bool:
    # The library's own `is_possible_number` accepts numbers that can be dialled only inside an area.
    return phonenumbers.is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE


def _country(region: str | None) -> str | None:
    """None for numbers of no country: satellites, international freephone."""
    return None if region == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY else region


def _region(number: PhoneNumber) -> str | None:
    return phonenumbers.region_code_for_number(number)


def _number(country_code: str, rest: str) -> PhoneNumber:
    return PhoneNumber(country_code=int(country_code), national_number=int(rest))


def _phone(channel: str, address: str, region: str | None) -> ResolvedIdentity:
    dialled = _dialled(channel, address)
    if dialled is None or not (dialled.international or region):
        return _verbatim(channel, address)
    number = _international("+" + dialled.digits) if dialled.international else _national_first(dialled.digits, region)
    if number is None:
        return _outdated(channel, address, dialled.digits) or _verbatim(channel, address)
    formatted, country = _format(number), _country(_region(number))
    return ResolvedIdentity(
        channel, "", formatted, _alias(formatted), understood=True, phone=formatted, country=country
    )


class _Dialled(NamedTuple):
    digits: str
    international: bool  # they begin with a country code


def _dialled(channel: str, address: str) -> _Dialled | None:
    """None for what is no telephone number: letters, an extension, a short code."""
    text = _without_scheme(address)
    if _LETTER_OR_EXTENSION.search(text):
        return None
    digits = "".join(str(unicodedata.decimal(c)) for c in text if c.isdecimal())
    if "+" in text or "＋" in text:
        return _Dialled(digits, international=True)
    if digits.startswith("00"):
        return _Dialled(digits[2:], international=True)
    if len(digits) <= _SHORT_CODE_DIGITS:
        return None
    return _Dialled(digits, international=channel == "whatsapp" and not digits.startswith("0"))


def _international(number_with_plus: str) -> PhoneNumber | None:
    number = _parse(number_with_plus, None)
    return number if number is not None and _from_anywhere(number) else None


def _national_first(digits: str, region: str | None) -> PhoneNumber | None:
    home = _parse(digits, region)
    if home is not None and phonenumbers.is_valid_number(home):
        return home
    # Service numbers have any length, and the library knows them; all others must have the length of a line's number.
    verdicts = _lengths_of_lines(home) if home is not None else set()
    possible = ValidationResult.IS_POSSIBLE in verdicts
    if not possible and ValidationResult.IS_POSSIBLE_LOCAL_ONLY in verdicts:
        return None
    abroad = _international("+" + digits)
    if abroad is not None and phonenumbers.is_valid_number(abroad):
        return abroad
    return home if possible else None


def _lengths_of_lines(number: PhoneNumber) -> set[int]:
    lines = PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE
    return {phonenumbers.is_possible_number_for_type_with_reason(number, line) for line in lines}


def _parse(text: str, region: str | None) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region)
    except NumberParseException:
        return None


@cache
def _national_prefix(country_code: str) -> re.Pattern[str] | None:
    """The prefix that is dialled before a national number, like 0 or 8. Parsing removes it also where it does not
    belong.
    """
    region = phonenumbers.region_code_for_country_code(int(country_code))
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
    prefix = metadata.national_prefix_for_parsing if metadata is not None else None
    return re.compile(prefix) if prefix else None


def _format(number: PhoneNumber) -> str:
    return str(phonenumbers.format_number(number, PhoneNumberFormat.E164))


def _without_scheme(address: str) -> str:
    text = address.strip()
    for scheme in _SCHEMES:
        if text.lower().startswith(scheme):
            return text[len(scheme) :]
    return text


def _outdated(channel: str, address: str, digits: str) -> ResolvedIdentity | None:
    """WhatsApp still delivers Mexican mobiles as 521…, which is no longer possible: kept, and found by today's form."""
    alias = _alias("+" + digits)
    today = _international(alias) if alias != "+" + digits else None
    if today is None:
        return None
    phone = _format(today)
    return ResolvedIdentity(channel, "", address, phone, understood=True, phone=phone, country=_country(_region(today)))


def _verbatim(channel: str, address: str) -> ResolvedIdentity:
    return ResolvedIdentity(channel, "", address, address, understood=False)


_ALIASES: Final = {
    # Mexico dropped the mobile prefix 1 in 2019, Brazil's mobiles gained a ninth digit: providers deliver both forms
    "+52": (re.compile(r"\+521(\d{10})"), r"+52\1"),
    "+55": (re.compile(r"\+55(\d\d)([6-9]\d{7})"), r"+55\g<1>9\2"),
}


def _alias(e164_number: str) -> str:
    known = _ALIASES.get(e164_number[:3])
    if known is None or not known[0].fullmatch(e164_number):
        return e164_number
    return known[0].sub(known[1], e164_number)
