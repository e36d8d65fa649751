"""Workspaces of the data, and how questions are put together."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

NEVER: Final = UUID(int=0)
_FIRST_NUMBER: Final = 10_000_000
_STEP: Final = 7919


@dataclass(frozen=True)
class Place:
    """A workspace of `fill.sql`, and what there is to ask about: values of the n-th call."""

    workspace: str
    contacts: int
    prefix: str
    now: datetime

    def contact(self, n: int) -> UUID:
        # The first ones have very many messages.
        return made(self.prefix, 4 + n * 104_729 % (self.contacts - 4))

    def number(self, n: int) -> str:
        if self.prefix != "c":
            return f"+49151{90_000_000 + 1 + n % 50}"
        return f"+49151{_FIRST_NUMBER + _STEP * (4 + n * 104_729 % (self.contacts - 4)) % self.contacts}"

    def profile(self, n: int) -> str:
        return f"p-{n * 7919 % (self.contacts // 10)}"

    def send(self, n: int) -> UUID:
        return made("s", n * 7919 % (self.contacts // 2))

    def ago(self, n: int) -> datetime:
        """Moments of the last month."""
        return self.now - timedelta(hours=3 + n * 17 % 600)

    def cycle(self) -> datetime:
        """The cycle of thirty hours ago: the present one may have nothing yet, on the first of a month."""
        return (self.now - timedelta(hours=30)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def large(contacts: int, now: datetime) -> Place:
    return Place("acme", contacts, "c", now)


def small(now: datetime) -> Place:
    return Place("tenant-7", 50, "t7-", now)


class Question(NamedTuple):
    """`values` are the arguments of the n-th call, the workspace first."""

    name: str
    statement: str
    values: Callable[[Place, int], Sequence[object]]


def made(kind: str, n: int) -> UUID:
    return UUID(hashlib.md5(f"{kind}{n}".encode(), usedforsecurity=False).hexdigest())


def page(view: str, order: str, where: str = "") -> str:
    return f"SELECT * FROM sluice.{view} WHERE workspace_id = $1{where} ORDER BY {order} LIMIT 50"  # noqa: S608


def older(view: str, columns: str, where: str = "") -> str:
    """The page behind a time and an id, in the descending order of both."""
    order = columns.replace(",", " DESC,") + " DESC"
    return page(view, order, f"{where} AND ({columns}) < ($2, $3)")


def some_time_ago(place: Place, n: int) -> Sequence[object]:
    return place.workspace, place.ago(n), NEVER


def whole(place: Place, _n: int) -> Sequence[object]:
    return (place.workspace,)


def contact(place: Place, n: int) -> Sequence[object]:
    return place.workspace, place.contact(n)


def longest(place: Place, _n: int) -> Sequence[object]:
    return place.workspace, made(place.prefix, 0)


def words(*queries: str) -> Callable[[Place, int], Sequence[object]]:
    return lambda place, n: (place.workspace, queries[n % len(queries)])


def assignee(place: Place, n: int) -> Sequence[object]:
    return place.workspace, f"agent-{n % 200}"


def profile(place: Place, n: int) -> Sequence[object]:
    return place.workspace, place.profile(n)


def number(place: Place, n: int) -> Sequence[object]:
    return place.workspace, place.number(n)


def lately(place: Place, n: int) -> Sequence[object]:
    return place.workspace, place.now - timedelta(minutes=15 + n), NEVER


def command(what: str, /, **fields: Callable[[Place, int], object]) -> Callable[[Place, int], Sequence[object]]:
    """The command `what` with these fields, as JSON."""

    def values(place: Place, n: int) -> Sequence[object]:
        given = {"command": what} | {field: value(place, n) for field, value in fields.items()}
        return place.workspace, json.dumps(given, default=str)

    return values


FUNCTION: Final = "SELECT * FROM sluice."
MONTH: Final = timedelta(days=30)


def now_of(text: str) -> datetime:
    """The time at which the data was made."""
    return datetime.fromisoformat(text).astimezone(UTC)
