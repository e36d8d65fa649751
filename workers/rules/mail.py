"""E-mail addresses: their lookup form and their spelling (contract 3.4).

The local part is never case-folded, because letters that differ in more than case are different people: ß is not ss.
The domain is compared in its DNS form (IDNA 2008), in which ß is not ss either.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final, NamedTuple

import idna

from schemas import limits

# Unicode's Default_Ignorable_Code_Point: invisible characters that come along when an address is copied.
_INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_ZERO_WIDTH_JOINERS: Final = "\u200c\u200d"
# Dots anywhere: Japanese mobile carriers issued addresses that begin or end with one, or have several in a row.
_ATOM: Final = re.compile(r"[^\s\x00-\x1f\x7f\"(),:;<>@\[\\\]]+")
_QUOTED: Final = re.compile(r'"((?:[^"\\\x00-\x1f\x7f]|\\[^\x00-\x1f\x7f])*)"')
_REMEMBERED: Final = 64
_LONGEST_LABEL: Final = 63
_ASCII_DOMAIN: Final = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?|\[[a-z0-9.:-]+\]")


class MailAddress(NamedTuple):
    """`spelling` is as a person wrote it, for sending; `lookup` is what addresses are compared by."""

    spelling: str
    lookup: str


def parse_address(address: str) -> MailAddress | None:
    """One bare address; None for anything else: with a display name, without a domain, with one that IDNA refuses."""
    seen = address if address.isascii() else _without_invisible(address)
    spelling = seen.strip()
    local, _, domain = spelling.rpartition("@")
    mailbox, host = _mailbox(local), _host(domain)
    if mailbox is None or host is None or len(mailbox) + 1 + len(host) > limits.ADDRESS:
        return None
    return MailAddress(spelling, f"{mailbox}@{host}")


def _mailbox(local: str) -> str | None:
    if _ATOM.fullmatch(local) is None:
        quoted = _QUOTED.fullmatch(local)
        if quoted is None:
            return None
        # Needless quotes do not change the address (RFC 5321, 4.1.2).
        content = re.sub(r"\\(.)", r"\1", quoted[1])
        local = content if _ATOM.fullmatch(content) else '"' + re.sub(r'(["\\])', r"\\\1", content) + '"'
    return local.lower() if local.isascii() else unicodedata.normalize("NFC", local.lower())


def _host(domain: str) -> str | None:
    if domain.isascii():
        lower = domain.lower()
        return lower.removesuffix(".") if _ASCII_DOMAIN.fullmatch(lower) else None
    return _a_labels(domain) if len(domain) <= _REMEMBERED else _long_a_labels(domain)


@lru_cache(maxsize=4_096)
def _a_labels(domain: str) -> str | None:
    try:
        mapped = idna.uts46_remap(domain, std3_rules=False)
        # Such a label is refused as well, but only after work that grows with its square.
        if any(len(label) > _LONGEST_LABEL for label in mapped.split(".")):
            return None
        return idna.encode(mapped).decode().removesuffix(".")
    except idna.IDNAError:
        return None


# A domain with a joiner is encoded twice.
_long_a_labels: Final = lru_cache(maxsize=64)(_a_labels.__wrapped__)


def _without_invisible(address: str) -> str:
    bare = _INVISIBLE.sub("", address)
    if _ZERO_WIDTH_JOINERS[0] not in address and _ZERO_WIDTH_JOINERS[1] not in address:
        return bare
    # In some scripts IDNA allows a joiner in a domain. With it the domain is another one than without, as with ß.
    local, at, domain = address.rpartition("@")
    joined = _INVISIBLE.sub(lambda found: found[0] if found[0] in _ZERO_WIDTH_JOINERS else "", domain).strip()
    return _INVISIBLE.sub("", local) + at + joined if _host(joined) is not None else bare
