"""Checks a value before its fields are read: present, small, UTF-8, shallow, without NUL or lone surrogates."""

import re
from typing import Final

from schemas import limits

_BACKSLASH: Final = ord("\\")  # one byte is found several times faster than two
# A text without a closing quote extends to the end, without backtracking: hostile values cost no more than long ones.
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_ONE_KIND: Final = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"{}[]"))
_FIRST_HALF: Final = rb"\\u[dD][89abAB][0-9a-fA-F]{2}"
_SECOND_HALF: Final = rb"\\u[dD][c-fC-F]"
_LONE_HALF: Final = re.compile(rb"%b(?!%b)|(?<!%b)%b" % (_FIRST_HALF, _SECOND_HALF, _FIRST_HALF, _SECOND_HALF))

NO_VALUE: Final = "Expected a JSON object, got a null value"
TOO_DEEP: Final = f"Expected at most {limits.MAX_DEPTH} levels, got more"


def framing_error(raw: bytes | None) -> str | None:
    """Why a value cannot be a record at all, or None. Checks unknown fields as well."""
    if raw is None:
        return NO_VALUE
    if len(raw) > limits.MAX_VALUE_BYTES:
        return too_large(len(raw))
    if not raw.isascii() and not _is_utf8(raw):
        return "Expected UTF-8, got other bytes"
    if raw.count(b"{") + raw.count(b"[") > limits.MAX_DEPTH and _depth(raw) > limits.MAX_DEPTH:
        return TOO_DEEP
    if _BACKSLASH in raw:
        return _escape_error(raw)
    return None


def too_large(size: int) -> str:
    """The error of a value of more bytes than a record may have."""
    return f"Expected a value of at most {limits.MAX_VALUE_BYTES} bytes, got {size}"


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _depth(raw: bytes) -> int:
    # Each round removes the innermost level of every nest, so the loop runs at most MAX_DEPTH + 1 times.
    brackets = _STRING.sub(b"", raw).translate(_ONE_KIND, _NO_BRACKETS)
    levels = 0
    while b"[]" in brackets and levels <= limits.MAX_DEPTH:
        brackets = brackets.replace(b"[]", b"")
        levels += 1
    return levels + brackets.count(b"[")


def _escape_error(raw: bytes) -> str | None:
    # Escaped backslashes become as many other bytes, so that each remaining `\u` is an escape at its old place.
    escapes = raw.replace(rb"\\", b"__")
    if rb"\u0000" in escapes:
        return "Expected texts without NUL, got one with it"
    return "Expected texts without lone surrogates, got one with it" if _LONE_HALF.search(escapes) else None
