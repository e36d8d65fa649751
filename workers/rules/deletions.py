"""Which texts of a record may name a deleted contact."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from workers.rules.identities import identify

_LONGEST_ADDRESS: Final = 320
_TEXT: Final = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_WORKSPACE: Final = re.compile(r'"workspace_id"\s*:\s*"([A-Za-z0-9_.-]{1,64})"')
_DIALLED: Final = re.compile(r"[\s()+./0-9-]{7,40}")


def workspaces_named(key: bytes | None, value: bytes) -> set[str]:
    """The workspaces that a record names: in its value, which may be no whole JSON, and at the begin of its key."""
    named = set(_WORKSPACE.findall(_as_text(value)))
    if key is not None and b":" in key:
        named.add(_as_text(key.partition(b":")[0]))
    return named


def addresses_named(value: bytes) -> set[str]:
    """Every text of a record that may be an address, as it stands there and as Sluice looks it up."""
    found: set[str] = set()
    for text in _texts(_as_text(value)):
        # No address has a NUL, and PostgreSQL takes none.
        if 0 < len(text) <= _LONGEST_ADDRESS and "\0" not in text:
            found.update(_forms(text))
    return found


def _texts(text: str) -> Iterator[str]:
    for literal in _TEXT.findall(text):
        try:
            yield msgspec.json.decode(literal.encode("utf-8", "replace"), type=str)
        except msgspec.DecodeError:
            yield literal[1:-1]


def _forms(text: str) -> Iterable[str]:
    yield text
    if "@" in text:
        yield identify("email", "", text, None).lookup
    elif _DIALLED.fullmatch(text.removeprefix("whatsapp:").removeprefix("tel:").removeprefix("sms:")):
        yield identify("whatsapp", "", text, None).lookup
        yield identify("sms", "", text, None).lookup


def _as_text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
