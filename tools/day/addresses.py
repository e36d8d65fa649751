"""Addresses as providers deliver them: every way one phone number is written, mixed-case e-mail, opaque ids."""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from tools.day.dice import Dice
from tools.day.voices import Voice


@dataclass(frozen=True, slots=True)
class Plan:
    """A country's mobile numbers. `groups` split what follows `prefix` for reading aloud.

    `trunk` is the national prefix.
    """

    code: str
    prefixes: tuple[str, ...]
    groups: tuple[int, ...]
    trunk: str = "0"


PLANS = {
    "DE": Plan("49", ("151", "160", "171", "176"), (4, 4)),
    "BR": Plan("55", ("11", "21", "31", "71", "85"), (5, 4)),
    "JP": Plan("81", ("90", "80", "70"), (4, 4)),
    "IN": Plan("91", ("98", "99", "70"), (3, 5)),
    "GB": Plan("44", ("7911", "7700"), (3, 3)),
    "FR": Plan("33", ("6", "7"), (4, 4)),
    "PL": Plan("48", ("501", "602"), (3, 3), ""),
    "TR": Plan("90", ("532", "505"), (3, 4)),
    "GR": Plan("30", ("69",), (4, 4), ""),
    "RU": Plan("7", ("916", "903"), (3, 4), "8"),
    "MX": Plan("52", ("55", "81"), (4, 4), ""),
    "KR": Plan("82", ("10",), (4, 4)),
    "TW": Plan("886", ("9",), (4, 4)),
    "TH": Plan("66", ("81", "89"), (3, 4)),
    "SA": Plan("966", ("50", "55"), (3, 4)),
    "IL": Plan("972", ("50", "54"), (3, 4)),
}
_IDD = {"DE": "00", "IN": "00"}  # elsewhere 00 is no way out of the country
_ARABIC_INDIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")


@dataclass(frozen=True, slots=True)
class Phone:
    """One number, by its parts."""

    country: str
    prefix: str
    parts: tuple[str, ...]

    @property
    def digits(self) -> str:
        return PLANS[self.country].code + self.prefix + "".join(self.parts)

    @property
    def e164(self) -> str:
        return "+" + self.digits

    def spoken(self) -> str:
        return f"+{PLANS[self.country].code} {self.prefix} {'-'.join(self.parts)}"


class AddressBook:
    """Hands out addresses, none of them twice."""

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self._taken: set[str] = set()

    def phone(self, country: str) -> Phone:
        plan = PLANS[country]
        while True:
            first = ("9" if country == "BR" else str(self._dice.between(2, 8))) + self._dice.digits(plan.groups[0] - 1)
            phone = Phone(country, self._dice.pick(plan.prefixes), (first, *map(self._dice.digits, plan.groups[1:])))
            if self._claim(phone.digits):
                return phone

    def email(self, given: str, family: str) -> str:
        """A lower-case address that resembles the name where the name can be written in ASCII."""
        name = ".".join(filter(None, (_ascii(given), _ascii(family)))) or "kunde"
        while True:
            address = f"{name}{self._dice.below(100)}@{self._dice.pick(_DOMAINS)}"
            if self._claim(address):
                return address

    def opaque(self, kind: str) -> str:
        while True:
            address = self._opaque(kind)
            if self._claim(address):
                return address

    def _opaque(self, kind: str) -> str:
        dice = self._dice
        makers: dict[str, Callable[[], str]] = {
            "messenger": lambda: "2" + dice.digits(15),
            "instagram": lambda: "17841" + dice.digits(12),
            "telegram": lambda: dice.pick("5167") + dice.digits(8),
            "line": lambda: "U" + dice.hexadecimal(32),
            "viber": lambda: dice.token(12) + "==",
            "webchat": lambda: f"visitor-{dice.hexadecimal(12)}",
            "custom": lambda: f"user:{dice.below(900_000)}@app",
        }
        return makers[kind]()

    def _claim(self, address: str) -> bool:
        fresh = address not in self._taken
        self._taken.add(address)
        return fresh


_DOMAINS = ("example.com", "example.org", "mail.example.net", "post.example.de", "gmx.example")


def whatsapp_forms(phone: Phone, dice: Dice) -> tuple[str, ...]:
    """Bare digits, as the provider writes them; sometimes what an importer or another gateway made of them."""
    if phone.country == "SA" and dice.chance(0.3):
        return phone.digits, phone.spoken().translate(_ARABIC_INDIC)
    if phone.country == "IL" and dice.chance(0.3):
        return phone.digits, phone.spoken() + "\u200e"
    if dice.chance(0.1):
        return phone.digits, phone.e164
    return (phone.digits,)


def sms_forms(phone: Phone, region: str, dice: Dice) -> tuple[str, ...]:
    """The first one is the carrier's usual form, the others come from second gateways."""
    if phone.country != region:
        abroad = _IDD.get(region)
        return (abroad + phone.digits, phone.e164) if abroad and dice.chance(0.4) else (phone.e164, phone.spoken())
    trunk, joined = PLANS[region].trunk, "".join(phone.parts)
    local = (
        f"{trunk}{phone.prefix} {joined}",
        f"{trunk}{phone.prefix}{joined}",
        f"({trunk}{phone.prefix}) {'-'.join(phone.parts)}",
    )
    forms = (dice.pick(local), phone.e164, phone.spoken())
    return forms if dice.chance(0.3) else forms[:1]


def email_forms(address: str, dice: Dice) -> tuple[str, ...]:
    """The address with the capitals its owner typed."""
    name, _, domain = address.partition("@")
    return dice.pick(((address,), (name.title() + "@" + domain,), (address, name.upper() + "@" + domain.title())))


def country_of(voice: Voice, region: str, dice: Dice) -> str:
    """Most people have a local number, whatever they speak."""
    return region if dice.chance(0.6) else voice.country


def _ascii(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return "".join(filter(str.isalnum, plain))
