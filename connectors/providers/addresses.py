"""Addresses of e-mail: reads them as they are written in headers, and judges where we can send to."""

import re
from typing import Final, NamedTuple

import idna

from connectors.providers.mime import words
from schemas import limits

_MOST: Final = 100
_ADDRESS: Final = re.compile(r'(?:"[^"]{1,64}"|[^\s"<>@(),:;]{1,250})@[^\s"<>@(),:;]{1,255}')
_IN_BRACKETS: Final = re.compile(r'<([^\s"<>@(),:;]{1,64}@[^\s"<>@(),:;]{1,255})>')
_LOCAL: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}")
_DOMAIN: Final = re.compile(
    r"(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)


class Mailbox(NamedTuple):
    """An address with the name that stands beside it; an empty name is none."""

    name: str
    address: str


class _Reading:
    """What was read of the mailbox so far."""

    def __init__(self) -> None:
        self.bare, self.phrase, self.comment, self.angle = "", "", "", ""
        self.has_angle = False

    def mailbox(self) -> Mailbox | None:
        address = self.angle.rpartition(":")[2] if self.has_angle else self.bare  # routes (`@a:b@c`) are obsolete
        address = address.strip()
        if len(address) > limits.ADDRESS or not _ADDRESS.fullmatch(address) or not address.isprintable():
            return None
        return Mailbox(words(self.phrase if self.has_angle else self.comment), address)


def mailboxes(value: str) -> list[Mailbox]:
    """The mailboxes of a header such as From or To: with names, comments and groups, in their order."""
    found: list[Mailbox | None] = []
    reading = _Reading()
    depth, quoted, escaped, angled = 0, False, False, False
    for char in value:
        if escaped or (char == "\\" and (quoted or depth)):
            escaped = not escaped
            mark = ""
        else:
            mark = char
        if quoted or (mark == '"' and not depth):
            quoted = quoted != (mark == '"')
            if angled:
                reading.angle += char
            else:
                reading.bare += char
                reading.phrase += "" if mark == '"' or (escaped and not mark) else char
        elif depth or mark == "(":
            depth += {"(": 1, ")": -1}.get(mark, 0)
            reading.comment += char if depth and (depth > 1 or mark != "(") else ""
        elif angled or mark == "<":
            angled, reading.has_angle = mark != ">", True
            reading.angle += "" if mark in "<>" else char
        elif mark in ",;" and mark:
            found.append(reading.mailbox())
            reading = _Reading()
        elif mark == ":":
            reading = _Reading()  # the name of a group
        else:
            reading.bare += char
            reading.phrase += char
        if len(found) >= _MOST:
            break
    kept = [mailbox for mailbox in (*found, reading.mailbox()) if mailbox is not None]
    return kept or [Mailbox("", address) for address in _IN_BRACKETS.findall(value)[:1]]


def domain_of(address: str) -> str:
    """The domain of an address, in lower case."""
    return address.rpartition("@")[2].lower()


def is_same(one: str, other: str) -> bool:
    """Whether two addresses are one mailbox, as far as letters of either case are one in practice."""
    return one.lower() == other.lower()


def sendable_address(address: str) -> str | None:
    """The address as SMTP carries it: with a domain of ASCII (IDNA 2008). None if it cannot be one."""
    local, at, domain = address.rpartition("@")
    try:
        domain = domain.lower() if domain.isascii() else idna.encode(domain, uts46=True).decode()
    except (idna.IDNAError, ValueError, IndexError):
        return None
    return f"{local}@{domain}" if at and _LOCAL.fullmatch(local) and _DOMAIN.fullmatch(domain) else None
