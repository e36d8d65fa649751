"""Passes many rows to one statement as arrays."""

from collections.abc import Sequence
from typing import Any


def columns(rows: Sequence[Sequence[Any]], width: int) -> list[list[Any]]:
    """The columns of the rows as arrays for `unnest`; `width` empty columns if there are no rows."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


def texts_first(rows: Sequence[Sequence[Any]], texts: int, width: int) -> list[Any]:
    """As `columns`; each of the first ones is an array of texts as a `literal`."""
    found = columns(rows, width)
    return [*map(literal, found[:texts]), *found[texts:]]


def literal(texts: Sequence[str | None]) -> str:
    """An array of texts in PostgreSQL's own notation, for a `text` parameter that is cast to `text[]`.

    asyncpg checks of each element of a list whether it is a list itself, which takes ten times as long.
    """
    return "{" + ",".join(["NULL" if text is None else _quoted(text) for text in texts]) + "}"


def _quoted(text: str) -> str:
    if '"' in text or "\\" in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
