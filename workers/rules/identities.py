"""One address, one identity: E.164 for phone numbers, and what must never be turned into one (contract 3.4).

The facts about `phonenumbers` that this file leans on (checked with 9.0.43): letters are mapped to digits, an extension
is dropped by E.164 formatting, and a short code formats as an impossible international number. So letters and
extensions are ruled out before parsing, and what is parsed must be a possible number.
"""

import re
import unicodedata
from functools import cache, lru_cache
from typing import Final, NamedTuple

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat

WORKSPACE_WIDE: Final = frozenset({"whatsapp", "sms", "email", "telegram"})
PHONE_TYPE: Final = frozenset({"whatsapp", "sms"})
REACHABLE_UNASKED: Final = frozenset({"whatsapp", "sms", "email"})  # the contact need not have written first

_SCHEMES: Final = ("whatsapp:", "tel:", "sms:")
_LETTER_OR_EXTENSION: Final = re.compile(r"[^\W\d_]|[#;,]")
_SHORT_CODE_DIGITS: Final = 6
_CODES: Final = "|".join(map(str, sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE, reverse=True)))
_KEPT_FORM: Final = re.compile(rf"\+({_CODES})([1-9][0-9]{{4,12}})")


class Identity(NamedTuple):
    """`lookup` is what identities are compared by; it differs from `address` for national aliases only."""

    channel: str
    scope: str  # '' where the address means the same on every channel of its kind, else the channel_id
    address: str
    lookup: str
    understood: bool  # False: kept as it came, with a warning; sends to it are refused
    phone: str | None = None
    email: str | None = None
    country: str | None = None


def scope_of(channel: str, channel_id: str) -> str:
    return "" if channel in WORKSPACE_WIDE else channel_id


@lru_cache(maxsize=65_536)
def identify(channel: str, channel_id: str, address: str, region: str | None) -> Identity:
    """The identity of an address as a channel delivers it. Never raises: what cannot be understood is kept as it is."""
    scope = scope_of(channel, channel_id)
    if channel in PHONE_TYPE:
        return _kept(channel, address) or _phone(channel, address, region)
    if channel == "email":
        folded = unicodedata.normalize("NFC", address.strip().casefold())
        local, at, domain = folded.rpartition("@")
        understood = bool(at and local and domain and not re.search(r"\s", folded))
        return Identity(channel, scope, folded, folded, understood, email=folded if understood else None)
    return Identity(channel, scope, address, address, understood=True)


def e164(text: str, region: str | None) -> str | None:
    """A telephone number typed by a person as E.164, or None if it is not a possible one."""
    number = _parse(text, region)
    return _format(number) if number is not None else None


def _kept(channel: str, address: str) -> Identity | None:
    """What looks like a number in the form in which numbers are kept, or like a WhatsApp id; None for all others.

    Most addresses come like this, and to parse one takes ten times as long for the same number.
    """
    number = "+" + address if channel == "whatsapp" and not address.startswith("+") else address
    parts = _KEPT_FORM.fullmatch(number)
    if parts is None or _alias(number) != number:
        return None
    code, rest = parts[1], parts[2]
    dialled = _national_prefix(code)
    if (dialled is not None and dialled.match(rest)) or not _is_possible(code, len(rest)):
        return None
    return Identity(channel, "", number, number, understood=True, phone=number, country=_country(code, rest))


@cache
def _is_possible(country_code: str, digits: int) -> bool:
    # Without a parser whether a number is possible is a matter of its length.
    return phonenumbers.is_possible_number(_number(country_code, "1" * digits))


def _country(country_code: str, rest: str) -> str | None:
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[int(country_code)]
    return regions[0] if len(regions) == 1 else phonenumbers.region_code_for_number(_number(country_code, rest))


def _number(country_code: str, rest: str) -> PhoneNumber:
    return PhoneNumber(country_code=int(country_code), national_number=int(rest))


def _phone(channel: str, address: str, region: str | None) -> Identity:
    text = _without_scheme(address)
    if _LETTER_OR_EXTENSION.search(text):
        return _verbatim(channel, address)
    digits = "".join(str(unicodedata.decimal(c)) for c in text if c.isdecimal())
    number = _understand(channel, text, digits, region)
    if number is None:
        return _outdated(channel, address, digits) or _verbatim(channel, address)
    formatted = _format(number)
    country = phonenumbers.region_code_for_number(number)
    return Identity(channel, "", formatted, _alias(formatted), understood=True, phone=formatted, country=country)


def _understand(channel: str, text: str, digits: str, region: str | None) -> PhoneNumber | None:
    if "+" in text or "＋" in text:
        return _parse("+" + digits, None)
    if digits.startswith("00"):
        return _parse("+" + digits[2:], None)
    if len(digits) <= _SHORT_CODE_DIGITS:
        return None
    if channel == "whatsapp":
        return _parse(digits, region) if digits.startswith("0") else _parse("+" + digits, None)
    return _national_first(digits, region) if region is not None else None


def _national_first(digits: str, region: str) -> PhoneNumber | None:
    national, international = _parse(digits, region), _parse("+" + digits, None)
    for number in (national, international):
        if number is not None and phonenumbers.is_valid_number(number):
            return number
    return national


def _parse(text: str, region: str | None) -> PhoneNumber | None:
    if _LETTER_OR_EXTENSION.search(text):
        return None
    try:
        number = phonenumbers.parse(text, region)
    except NumberParseException:
        return None
    return number if phonenumbers.is_possible_number(number) else None


@cache
def _national_prefix(country_code: str) -> re.Pattern[str] | None:
    """What is dialled before a number at home, as a 0 or an 8: parsing takes it away also where it does not belong."""
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


def _outdated(channel: str, address: str, digits: str) -> Identity | None:
    """WhatsApp still delivers Mexican mobiles as 521…, no possible number any more: kept, and found by today's form."""
    today = _parse(_alias("+" + digits), None)
    if today is None or _alias("+" + digits) == "+" + digits:
        return None
    phone = _format(today)
    country = phonenumbers.region_code_for_number(today)
    return Identity(channel, "", address, phone, understood=True, phone=phone, country=country)


def _verbatim(channel: str, address: str) -> Identity:
    return Identity(channel, "", address, address, understood=False)


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
