"""Pages of lists by keyset: the next page begins behind the last row of this one."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, NamedTuple
from uuid import UUID

import msgspec
from itsdangerous.encoding import base64_decode, base64_encode
from itsdangerous.exc import BadData

from schemas.limits import MAX_YEAR

MOST: Final = 200
DEFAULT: Final = 50
LONGEST_CURSOR: Final = 8_192
"""In characters: the longest name with the escapes of JSON has half of them."""


# PostgreSQL takes these, whatever stands in a cursor that somebody made up.
_SAFE: Final[Mapping[Any, Any]] = {
    datetime: Annotated[datetime, msgspec.Meta(tz=True)],
    int: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)],
    str: Annotated[str, msgspec.Meta(pattern=r"^[^\0]*\Z")],
    str | None: Annotated[str, msgspec.Meta(pattern=r"^[^\0]*\Z")] | None,
}


class BadCursor(ValueError):  # noqa: N818 - a state of the cursor
    """A cursor that no list gave, or another list."""


class Rows(NamedTuple):
    """A page of a list: rows with the view's columns, and the cursor of the next page; None: this is the last one."""

    items: Sequence[Mapping[str, Any]]
    next: str | None


class Keyset(NamedTuple):
    """The columns of a list's order, with their types: `datetime`, `UUID`, `str`, `str | None` or `int` (8 bytes)."""

    columns: Sequence[str]
    types: Sequence[Any]

    def cursor(self, row: Mapping[str, Any]) -> str:
        """The cursor of the page behind a row."""
        return base64_encode(msgspec.json.encode([row[column] for column in self.columns])).decode()

    def values(self, cursor: str | None) -> Sequence[Any]:
        """What stands in a cursor; None for each column on the first page.

        Raises:
            BadCursor: see there.
        """
        if cursor is None:
            return [None] * len(self.columns)
        try:
            if len(cursor) > LONGEST_CURSOR:
                raise ValueError("too long")
            safe = tuple(_SAFE.get(kind, kind) for kind in self.types)
            values: Sequence[Any] = msgspec.json.decode(base64_decode(cursor), type=tuple[safe])  # type: ignore[valid-type]
            if any(isinstance(value, datetime) and not 1 < value.year < MAX_YEAR for value in values):
                raise ValueError("too far away")
        except (BadData, ValueError, msgspec.MsgspecError) as error:
            raise BadCursor("cursor: expected the value of `next` of the page before") from error
        return values


async def page(
    connection: Any, statement: str, arguments: Sequence[object], keyset: Keyset, limit: int, cursor: str | None
) -> Rows:
    """A page. The statement's last parameters are the values of the cursor and, at the very end, the number of rows.
    Columns whose names begin with `_` only order the list.

    Raises:
        BadCursor: see there.
    """
    rows = await connection.fetch(statement, *arguments, *keyset.values(cursor), limit + 1)
    items = [{name: value for name, value in row.items() if name[0] != "_"} for row in rows[:limit]]
    return Rows(items, keyset.cursor(rows[limit - 1]) if len(rows) > limit else None)


BY_TIME: Final = (datetime, UUID)
