"""Bytes that nobody could read, as text for people: whatever they are, a page shows them and nothing else happens."""

import unicodedata
from typing import Final, NamedTuple

_MOST_TEXT: Final = 64 * 1024  # characters
_MOST_HEX: Final = 4 * 1024  # bytes
_ROW: Final = 16
_KEPT: Final = frozenset("\n\t")
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


class Shown(NamedTuple):
    """`kind` is `text`, or `hex` for bytes that are no UTF-8. `size`: of all bytes. `cut`: not all are shown."""

    kind: str
    text: str
    size: int
    cut: bool


def shown(raw: bytes) -> Shown:
    """Text with every character escaped that would not be seen, or would move others; else a hex dump."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return Shown("hex", "\n".join(_rows(raw[:_MOST_HEX])), len(raw), len(raw) > _MOST_HEX)
    return Shown("text", "".join(map(_visible, text[:_MOST_TEXT])), len(raw), len(text) > _MOST_TEXT)


def _visible(character: str) -> str:
    if character in _KEPT or unicodedata.category(character) not in _HIDDEN:
        return character
    number = ord(character)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _rows(raw: bytes) -> list[str]:
    rows = []
    for start in range(0, len(raw), _ROW):
        part = raw[start : start + _ROW]
        seen = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in part)
        rows.append(f"{start:08x}  {part.hex(' '):<{3 * _ROW - 1}}  {seen}")
    return rows
