"""Arrays as parameters: many rows in one statement."""

from collections.abc import Iterable, Sequence
from typing import Any


def columns(rows: Sequence[Sequence[Any]], width: int) -> list[list[Any]]:
    """Rows as the column arrays that `unnest` takes; `width` empty columns where there are no rows."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


def literal(texts: Iterable[str]) -> str:
    """An array of texts as PostgreSQL writes one, for a `text` that becomes a `text[]` there.

    asyncpg asks of each element of a list whether it is a list itself, which takes ten times as long.
    """
    quoted = [text.replace("\\", "\\\\").replace('"', '\\"') for text in texts]
    return '{"' + '","'.join(quoted) + '"}' if quoted else "{}"
