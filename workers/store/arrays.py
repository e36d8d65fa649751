"""Arrays as parameters: many rows in one statement."""

from collections.abc import Sequence
from typing import Any


def columns(rows: Sequence[Sequence[Any]], width: int) -> list[list[Any]]:
    """Rows as the column arrays that `unnest` takes; `width` empty columns where there are no rows."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


def texts_first(rows: Sequence[Sequence[Any]], texts: int, width: int) -> list[Any]:
    """`columns`, of which the first ones are texts, each as a `literal`."""
    found = columns(rows, width)
    return [*map(literal, found[:texts]), *found[texts:]]


def literal(texts: Sequence[str | None]) -> str:
    """An array of texts as PostgreSQL writes one, for a `text` that becomes a `text[]` there.

    asyncpg asks of each element of a list whether it is a list itself, which takes ten times as long.
    """
    return "{" + ",".join(["NULL" if text is None else _quoted(text) for text in texts]) + "}"


def _quoted(text: str) -> str:
    if '"' in text or "\\" in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
