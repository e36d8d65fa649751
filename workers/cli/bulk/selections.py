"""Selections of contacts: by their ids, by a tag, by a search."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from uuid import UUID

from workers.errors import NotPossible, SettingsError
from workers.store import contact_lists
from workers.store.connection import Connection

ABOUT: Final = (
    "Give the command to each of these contacts: tag=TAG, search=TEXT, ids=UUID,UUID or file=PATH with an id on each "
    "line. Blocked contacts are in no search and have no tag here."
)
_KINDS: Final = ("tag", "search", "ids", "file")
_OPTION: Final = "--selection"


@dataclass(frozen=True, slots=True)
class Selection:
    """What selects contacts: `kind` is how, `value` is by what."""

    kind: Literal["tag", "search", "ids", "file"]
    value: str

    async def pages(self, tx: Connection, workspace_id: str) -> AsyncIterator[list[UUID]]:
        """The ids of the contacts, in pages. Given ids come in their order, and only once within a page.

        Raises:
            SettingsError: an id is none, or the file cannot be read.
            NotPossible: the search finds more than it can show.
        """
        if self.kind == "tag":
            async for rows in contact_lists.pages(tx, workspace_id, self.value):
                yield [row["contact_id"] for row in rows]
        elif self.kind == "search":
            found = await contact_lists.found(tx, workspace_id, self.value)
            if len(found) >= contact_lists.MOST_FOUND:
                most = f"{contact_lists.MOST_FOUND:,}"
                raise NotPossible(
                    f"the search finds {most} contacts or more; use a longer text, a tag or a file of ids"
                )
            yield found
        else:
            page: dict[UUID, None] = {}
            for id_ in self._given():
                page[id_] = None
                if len(page) == _PAGE:
                    yield list(page)
                    page = {}
            yield list(page)

    def _given(self) -> Iterator[UUID]:
        if self.kind == "ids":
            yield from (_id(text) for text in self.value.split(","))
            return
        try:
            with Path(self.value).open(encoding="utf-8-sig") as lines:
                yield from (_id(line) for line in lines if line.strip())
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{_OPTION}: {self.value} cannot be read: {error}") from error


_PAGE: Final = 1_000


def selection(text: str) -> Selection:
    """A selection from its text.

    Raises:
        SettingsError: it is none.
    """
    kind, _, value = text.partition("=")
    for known in ("tag", "search", "ids", "file"):
        if kind == known and value:
            return Selection(known, value)
    raise SettingsError(f"{_OPTION}: expected tag=…, search=…, ids=… or file=…, got {text!r}")


def _id(text: str) -> UUID:
    try:
        return UUID(text.strip())
    except ValueError:
        raise SettingsError(f"{_OPTION}: expected the id of a contact, got {text.strip()!r}") from None
