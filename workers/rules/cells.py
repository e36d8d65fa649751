"""Values as cells of a CSV file, and back. Pure: text and values only."""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from schemas.fields import FieldValue

SEPARATOR: Final = ";"
"""Between the items of a list. A list with an item that has it, or begins with `[`, is written as JSON."""

_NUMBER: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII)
_DIALLED: Final = re.compile(r"\+?[0-9][0-9 ().-]*", re.ASCII)
# A spreadsheet takes such a text for a formula, and people outside choose their names: it gets an apostrophe.
_FORMULA: Final = re.compile(r"'*[=+\-@\t\r]")
_YES: Final = frozenset({"true", "yes", "1"})
_NO: Final = frozenset({"false", "no", "0"})


def cell(value: FieldValue) -> str:
    """The text of a value; empty for null."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float():
            return msgspec.json.encode(value).decode()
        case list():
            return _guarded(_list_cell(value))
        case _:
            return _guarded(value)


def text(of_cell: str) -> str:
    """The inverse of `cell` for texts."""
    return of_cell[1:] if of_cell.startswith("'") and _FORMULA.match(of_cell) else of_cell


def items(of_cell: str) -> list[str]:
    """A list of texts. Items are without spaces at their ends; empty ones are left out.

    Raises:
        ValueError: it begins as JSON and is no list of texts.
    """
    plain = text(of_cell)
    if plain.startswith("["):
        try:
            return msgspec.json.decode(plain, type=list[str])
        except msgspec.MsgspecError:
            raise ValueError('expected texts with `;` between them, or a JSON list such as ["a", "b"]') from None
    return [item for one in plain.split(SEPARATOR) if (item := one.strip())]


def field_value(kind: str, options: Sequence[str], of_cell: str) -> FieldValue:
    """The value of a custom field of this type. A cell that does not fit stays text: the rules say what would fit."""
    plain = text(of_cell)
    if kind == "list" and plain not in options:
        return items(of_cell)
    return typed_value(kind, plain)


def typed_value(kind: str, typed: str) -> FieldValue:
    """The value of a custom field of a type that is no list, as somebody typed it. What does not fit stays text."""
    if kind == "number" and _NUMBER.fullmatch(typed.strip()):
        number: int | float = msgspec.json.decode(typed.strip(), type=int | float)
        return number
    if kind == "checkbox" and typed.strip().lower() in _YES | _NO:
        return typed.strip().lower() in _YES
    return typed


def _list_cell(values: Sequence[str]) -> str:
    ambiguous = any(SEPARATOR in item or item.startswith("[") or item != item.strip() or not item for item in values)
    return msgspec.json.encode(values).decode() if ambiguous else SEPARATOR.join(values)


def _guarded(plain: str) -> str:
    return f"'{plain}" if _FORMULA.match(plain) and not _DIALLED.fullmatch(plain) else plain
